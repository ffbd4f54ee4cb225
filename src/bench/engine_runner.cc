#include "bench/engine_runner.h"

#include <atomic>
#include <cstdio>
#include <fstream>
#include <unordered_map>
#include <unordered_set>

#include "base/log.h"
#include "bench/outcome.h"
#include "cli/profiling.h"
#include "text/detokenizer.h"

namespace vllm::bench {

Status EngineRunner::start(const cli::ServeArgs& args) {
  std::atomic<bool> cancelled{false};
  temperature_ = static_cast<float>(args.temperature.value_or(1));
  auto sink = [this](std::vector<EngineOutput>&& outputs) {
    {
      std::lock_guard lock(mutex_);
      std::move(outputs.begin(), outputs.end(), std::back_inserter(outputs_));
    }
    ready_.notify_one();
  };
  ASSIGN_OR_RETURN(model_, cli::start_model(args, [](const std::string&) {}, cancelled, sink));
  return {};
}

Status EngineRunner::stop_profile() {
  ASSIGN_OR_RETURN(std::string text, cli::stop_and_describe(*model_.profiler));
  std::fputs(text.c_str(), stdout);
  return {};
}

Status EngineRunner::submit(const std::vector<EngineJob>& jobs, int n) {
  for (const EngineJob& job : jobs) {
    if (static_cast<int64_t>(job.prompt.size()) + job.output_len > model_.max_model_len)
      return invalid_argument(
          "{} prompt tokens and {} output tokens do not fit into the context of {} (--max-model-len)",
          job.prompt.size(), job.output_len, model_.max_model_len);
  }
  for (const EngineJob& job : jobs) {
    for (int i = 0; i < n; ++i) {
      EngineRequest request{.id = next_id_++, .prompt_token_ids = job.prompt};
      request.sampling.seed = next_seed_++;
      request.sampling.temperature = temperature_;
      request.sampling.max_tokens = job.output_len;
      request.sampling.ignore_eos = true;
      RETURN_IF_ERROR(model_.engine->submit(std::move(request)));
    }
  }
  return {};
}

std::vector<EngineOutput> EngineRunner::take_outputs() {
  std::unique_lock lock(mutex_);
  ready_.wait(lock, [this] { return !outputs_.empty(); });
  return std::exchange(outputs_, {});
}

Result<BatchResult> EngineRunner::run(const std::vector<EngineJob>& jobs, int n, bool detokenize, double begin) {
  RETURN_IF_ERROR(submit(jobs, n));
  BatchResult result;
  for (const EngineJob& job : jobs) result.prompt_tokens += static_cast<int64_t>(job.prompt.size());
  std::unordered_map<RequestId, text::Detokenizer> texts;
  std::unordered_set<RequestId> begun;
  size_t num_open = jobs.size() * static_cast<size_t>(n);
  while (num_open > 0) {
    for (const EngineOutput& output : take_outputs()) {
      if (!output.new_token_ids.empty() && begun.insert(output.id).second) result.first_seconds = seconds_now() - begin;
      result.output_tokens += static_cast<int64_t>(output.new_token_ids.size());
      if (detokenize) {
        auto it = texts.try_emplace(output.id, model_.tokenizer, text::DetokenizerOptions{}).first;
        for (TokenId token : output.new_token_ids) (void)it->second.add(token);
        if (output.finish_reason) (void)it->second.finish();
      }
      if (!output.finish_reason) continue;
      --num_open;
      if (*output.finish_reason == FinishReason::kError || *output.finish_reason == FinishReason::kAbort)
        return error(ErrorCode::kInternal, "a sequence failed: {}", output.error.empty() ? "aborted" : output.error);
    }
  }
  result.seconds = seconds_now() - begin;
  return result;
}

void set_up_bench_log(const cli::ServeArgs& args) {
  init_log({.level = args.log_level == "debug"     ? LogLevel::kDebug
                     : args.log_level == "warning" ? LogLevel::kWarning
                     : args.log_level == "error"   ? LogLevel::kError
                                                   : LogLevel::kInfo,
            .json = args.log_format == "json",
            .log_file = args.log_file,
            .prefix = ""});
}

Status write_json(const std::string& path, const json::object& object) {
  if (path.empty()) return {};
  std::ofstream out(path);
  out << json::serialize(object) << "\n";
  if (!out.flush()) return error(ErrorCode::kInternal, "--output-json {}: cannot be written", path);
  return {};
}

}  // namespace vllm::bench
