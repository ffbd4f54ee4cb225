#pragma once
// From outcomes to the figures of a serving benchmark, by vLLM's definitions.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/outcome.h"

namespace vllm::bench {

/// Limits of --goodput, in ms.
struct Goodput {
  std::optional<double> ttft_ms, tpot_ms, e2el_ms;
  bool any() const { return ttft_ms || tpot_ms || e2el_ms; }
};
/// Items such as "ttft:200".
Result<Goodput> parse_goodput(const std::vector<std::string>& items);

/// "25,50,99.9", each in [0, 100].
Result<std::vector<double>> parse_percentiles(const std::string& text);

struct ServeMetrics {
  int64_t completed = 0, failed = 0;
  int64_t total_input = 0, total_output = 0;  // tokens of completed requests
  double request_throughput = 0, request_goodput = 0, output_throughput = 0, total_token_throughput = 0;  // per second
  int64_t max_output_tokens_per_s = 0;  // chunks in the fullest second, counted from the first start
  int64_t max_concurrent_requests = 0;  // in the fullest second
  std::vector<int64_t> output_lens;     // per request, in order; 0 for failed ones
  // Seconds, of completed requests.
  std::vector<double> ttfts;
  std::vector<double> tpots;  // (latency - ttft) / (output tokens - 1), of requests with two tokens or more
  std::vector<double> itls;   // of all requests in one list
  std::vector<double> e2els;
  std::vector<double> queue_times, e2els_with_queue;
};

/// `counted_lens[i]`: output tokens where the server told none (absent or 0: not known, then 1 is taken).
ServeMetrics compute_metrics(const std::vector<Outcome>& outcomes, const std::vector<int64_t>& counted_lens,
                             double duration_s, const Goodput& goodput);

}  // namespace vllm::bench
