#pragma once
// vLLM's Prometheus series (reference: vllm/v1/metrics of 0.33). Thread-safe.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/engine.h"

namespace vllm::serve {

/// One finished sequence, in seconds and tokens.
struct FinishedSequence {
  std::string finish_reason;  // stop, length, abort, error
  double e2e_s = 0, queue_s = 0, prefill_s = 0, decode_s = 0, inference_s = 0;
  int num_prompt_tokens = 0, num_generation_tokens = 0, num_cached_tokens = 0, num_preemptions = 0;
  int max_tokens = 0;
  int n = 1;
};

/// Later outputs of sequences, noted one by one and told to Metrics together: the most frequent event of all.
struct TokenGaps {
  int64_t num_tokens = 0;
  std::vector<double> seconds;  // since the output before, one per output
  void add(int num_new_tokens, double seconds_since_last) {
    num_tokens += num_new_tokens;
    seconds.push_back(seconds_since_last);
  }
  void clear() { num_tokens = 0, seconds.clear(); }
};

class Metrics {
 public:
  struct Options {
    std::string model_name = {};
    int64_t max_model_len = 0;
    std::vector<std::pair<std::string, std::string>> cache_config = {};  // labels of vllm:cache_config_info
  };
  explicit Metrics(Options options);
  ~Metrics();
  /// A sequence's first token arrived: counts its prompt.
  void on_prompt(int num_prompt_tokens, int num_cached_tokens);
  /// Likewise: the time to it. Counts one generated token.
  void on_first_token(double ttft_s);
  /// Later outputs of sequences: counts their tokens, and the gaps to the outputs before.
  void on_tokens(const TokenGaps& gaps);
  void on_finished(const FinishedSequence& sequence);
  /// A request was refused because a queue is full; `reason` is max_num_queued_reqs or max_num_queued_tokens.
  void on_rejected(const std::string& reason);
  /// `handler` is the route's path, or "none"; probes and /metrics itself are left out, as vLLM does.
  void on_http(const std::string& handler, const std::string& method, int status, double seconds, size_t request_bytes,
               size_t response_bytes);
  /// The text exposition; gauges come from `stats` at this moment.
  std::string expose(const engine::EngineStats& stats);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vllm::serve
