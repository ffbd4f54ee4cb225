// vllm bench throughput
#include <cstdio>

#include "bench/bench_command.h"
#include "bench/dataset.h"
#include "bench/engine_runner.h"
#include "bench/flags.h"
#include "bench/outcome.h"

namespace vllm::bench {
namespace {

// Prompts as ids; the tokenizing of a file's texts counts, as in vLLM.
Result<std::vector<EngineJob>> make_jobs(const std::vector<Sample>& samples, const text::Tokenizer& tokenizer) {
  std::vector<EngineJob> out;
  out.reserve(samples.size());
  for (const Sample& sample : samples) {
    EngineJob job{sample.ids, static_cast<int>(std::min<int64_t>(sample.output_len, 1 << 30))};
    if (job.prompt.empty()) {
      ASSIGN_OR_RETURN(job.prompt, tokenizer.encode(sample.text));
    }
    out.push_back(std::move(job));
  }
  return out;
}

Result<BatchResult> run_samples(const ThroughputArgs& args, EngineRunner& engine) {
  ASSIGN_OR_RETURN(std::vector<Sample> samples, make_samples(args, PromptForm::kIds, &engine.tokenizer()));
  const double begin = seconds_now();
  ASSIGN_OR_RETURN(std::vector<EngineJob> jobs, make_jobs(samples, engine.tokenizer()));
  return engine.run(jobs, static_cast<int>(args.n), !args.disable_detokenize, begin);
}

Status run(const ThroughputArgs& args) {
  EngineRunner engine;
  RETURN_IF_ERROR(engine.start(args));
  if (args.num_warmups > 0) {
    ThroughputArgs warmup = args;
    warmup.num_prompts = args.num_warmups;
    ++warmup.seed;
    std::printf("Warming up with %lld requests...\n", static_cast<long long>(args.num_warmups));
    RETURN_IF_ERROR(run_samples(warmup, engine));
  }
  if (args.profile) RETURN_IF_ERROR(engine.start_profile());
  ASSIGN_OR_RETURN(BatchResult done, run_samples(args, engine));
  if (args.profile) RETURN_IF_ERROR(engine.stop_profile());
  const auto requests = static_cast<double>(args.num_prompts);
  const int64_t total = done.prompt_tokens + done.output_tokens;
  std::printf("Throughput: %.2f requests/s, %.2f total tokens/s, %.2f output tokens/s\n", requests / done.seconds,
              static_cast<double>(total) / done.seconds, static_cast<double>(done.output_tokens) / done.seconds);
  std::printf("Total num prompt tokens:  %lld\nTotal num output tokens:  %lld\n",
              static_cast<long long>(done.prompt_tokens), static_cast<long long>(done.output_tokens));
  return write_json(args.output_json, {{"model_id", args.model},
                                       {"elapsed_time", done.seconds},
                                       {"num_requests", args.num_prompts},
                                       {"total_num_tokens", total},
                                       {"requests_per_second", requests / done.seconds},
                                       {"tokens_per_second", static_cast<double>(total) / done.seconds}});
}

}  // namespace

int throughput_bench(const std::vector<std::string>& argv) {
  ThroughputArgs args;
  if (auto status = read_flags(throughput_page(), argv, args)) return *status;
  args.profiler.enabled |= args.profile;
  set_up_bench_log(args);
  Status status = run(args);
  return status ? 0 : failed(status.error());
}

}  // namespace vllm::bench
