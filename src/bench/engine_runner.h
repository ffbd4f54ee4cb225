#pragma once
// An engine in this process that is given whole batches of prompts.
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/startup.h"
#include "types/types.h"

namespace vllm::bench {

struct EngineJob {
  std::vector<TokenId> prompt;
  int output_len = 1;
};

struct BatchResult {
  double seconds = 0;        // first submit to last token, detokenized
  double first_seconds = 0;  // until every sequence had its first token
  int64_t prompt_tokens = 0, output_tokens = 0;
};

class EngineRunner {
 public:
  /// Load the model and start the engine that `args` ask for; the log goes to stderr.
  Status start(const cli::ServeArgs& args);
  const text::Tokenizer& tokenizer() const { return *model_.tokenizer; }
  int64_t max_model_len() const { return model_.max_model_len; }
  int64_t vocab_size() const { return model_.vocab_size; }

  /// Record from here on / stop, print the summary and name the trace; only if args.profiler was enabled at start().
  Status start_profile() { return model_.profiler->start(); }
  Status stop_profile();

  /// Run the jobs, `n` sequences each, at --temperature (1) to their full length, and wait. Times count from `begin`
  /// (seconds_now()), so that a caller can put its own tokenizing in. kInvalidArgument: a job does not fit into the
  /// context; kInternal: a sequence failed.
  Result<BatchResult> run(const std::vector<EngineJob>& jobs, int n, bool detokenize, double begin);

 private:
  Status submit(const std::vector<EngineJob>& jobs, int n);
  std::vector<EngineOutput> take_outputs();

  std::mutex mutex_;  // guards outputs_
  std::condition_variable ready_;
  std::vector<EngineOutput> outputs_;
  RequestId next_id_ = 1;
  uint64_t next_seed_ = 1;
  float temperature_ = 1;
  cli::RunningModel model_;  // last: its engine calls into the members above until it is gone
};

/// Set the log up and print nothing else: what the in-process commands share.
void set_up_bench_log(const cli::ServeArgs& args);
/// Write a JSON object to `path`; nothing for an empty path.
Status write_json(const std::string& path, const json::object& object);

}  // namespace vllm::bench
