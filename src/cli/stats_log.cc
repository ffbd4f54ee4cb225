#include "cli/stats_log.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/env.h"
#include "base/log.h"

namespace vllm::cli {

StatsLog::StatsLog(const engine::Engine& engine) : engine_(engine), last_time_(std::chrono::steady_clock::now()) {
  double seconds = std::strtod(env("VLLM_LOG_STATS_INTERVAL").value_or("10").c_str(), nullptr);
  interval_s_ = seconds > 0 ? seconds : 10;
}

void StatsLog::tick() {
  auto now = std::chrono::steady_clock::now();
  double seconds = std::chrono::duration<double>(now - last_time_).count();
  if (seconds < interval_s_) return;
  engine::EngineStats s = engine_.stats();
  double prompt = static_cast<double>(s.num_prompt_tokens - last_prompt_) / seconds;
  double generation = static_cast<double>(s.num_generation_tokens - last_generation_) / seconds;
  bool idle = prompt == 0 && generation == 0 && s.num_running == 0 && s.num_waiting == 0;
  last_time_ = now, last_prompt_ = s.num_prompt_tokens, last_generation_ = s.num_generation_tokens;
  if (std::exchange(was_idle_, idle) && idle) return;  // one idle line, then silence
  LOG_INFO(
      "Engine 000: Avg prompt throughput: {:.1f} tokens/s, Avg generation throughput: {:.1f} tokens/s, Running: {} "
      "reqs, Waiting: {} reqs, "
      "GPU KV cache usage: {:.1f}%, Prefix cache hit rate: {:.1f}%",
      prompt, generation, s.num_running, s.num_waiting,
      100.0 * static_cast<double>(s.num_blocks - s.num_free_blocks) /
          static_cast<double>(std::max<int64_t>(s.num_blocks, 1)),
      100.0 * static_cast<double>(s.prefix_cache_hits) /
          static_cast<double>(std::max<uint64_t>(s.prefix_cache_queries, 1)));
}

}  // namespace vllm::cli
