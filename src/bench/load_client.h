#pragma once
// The load generator: many requests on one thread, over kept-alive connections.
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/outcome.h"
#include "bench/request.h"
#include "bench/stream_chunk.h"

namespace vllm::bench {

struct LoadJob {
  std::string bytes;       // the whole request
  int64_t prompt_len = 0;  // for the outcome, until the server tells
  int64_t output_len = 0;  // how many gaps to make room for
};

struct LoadOptions {
  Api api = Api::kCompletions;
  std::vector<double> arrivals;                  // seconds after the start, one per job, not falling
  int64_t max_concurrency = 0;                   // open requests; 0: no limit
  std::function<void(size_t done)> on_progress;  // at most every 100 ms, and at the end
};

struct LoadResult {
  std::vector<Outcome> outcomes;  // in the order of the jobs
  double duration_s = 0;          // first arrival to last reply
};

struct PlainReply {
  int status = 0;
  std::string body;
};

/// One server. Not thread-safe; connections are kept from one call to the next.
class LoadClient {
 public:
  /// Resolves the host's name. kUnavailable if it has no address.
  static Result<std::unique_ptr<LoadClient>> make(const Target& target);
  ~LoadClient();

  /// Send all jobs at their times and wait for the replies. Failures are in the outcomes.
  LoadResult run(const std::vector<LoadJob>& jobs, const LoadOptions& options);
  /// One request whose reply is no stream.
  Result<PlainReply> ask(const std::string& request);

 private:
  struct Impl;
  explicit LoadClient(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace vllm::bench
