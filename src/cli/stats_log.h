#pragma once
// The throughput line that vLLM logs every 10 s (VLLM_LOG_STATS_INTERVAL) while there is something to say.
#include <chrono>

#include "engine/engine.h"

namespace vllm::cli {

class StatsLog {
 public:
  explicit StatsLog(const engine::Engine& engine);
  /// Call about once a second.
  void tick();

 private:
  const engine::Engine& engine_;
  std::chrono::steady_clock::time_point last_time_;
  double interval_s_;
  uint64_t last_prompt_ = 0, last_generation_ = 0;
  bool was_idle_ = true;
};

}  // namespace vllm::cli
