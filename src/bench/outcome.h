#pragma once
// What became of one request. Times are seconds of one steady clock.
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace vllm::bench {

using Clock = std::chrono::steady_clock;
inline double seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }
inline double seconds_now() { return seconds(Clock::now().time_since_epoch()); }

struct Outcome {
  bool success = false;
  std::string error;
  double start_time = 0;      // when it was sent (a connection may be made first, which counts)
  double ttft = 0;            // start to the first token
  double latency = 0;         // start to the last token
  double queue_time = 0;      // waiting in the client for --max-concurrency
  std::vector<double> itls;   // gaps between chunks
  int64_t prompt_len = 0;     // tokens: the server's usage, else what was asked
  int64_t output_tokens = 0;  // of usage; 0: it told none
  std::string generated_text;
};

}  // namespace vllm::bench
