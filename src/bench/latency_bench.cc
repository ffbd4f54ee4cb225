// vllm bench latency
#include <cstdio>

#include "bench/bench_command.h"
#include "bench/engine_runner.h"
#include "bench/flags.h"
#include "bench/outcome.h"
#include "bench/random.h"
#include "bench/statistics.h"

namespace vllm::bench {
namespace {

constexpr double kPercents[] = {10, 25, 50, 75, 90, 99};

std::vector<EngineJob> random_batch(const LatencyArgs& args, int64_t vocab_size) {
  NumpyRng rng(static_cast<uint64_t>(args.seed));
  std::vector<EngineJob> out(static_cast<size_t>(args.batch_size));
  for (EngineJob& job : out) {
    job.output_len = static_cast<int>(args.output_len);
    for (int64_t id : rng.integers(0, std::min<int64_t>(10000, vocab_size), static_cast<size_t>(args.input_len)))
      job.prompt.push_back(static_cast<TokenId>(id));
  }
  return out;
}

Status run(const LatencyArgs& args) {
  EngineRunner engine;
  RETURN_IF_ERROR(engine.start(args));
  const std::vector<EngineJob> batch = random_batch(args, engine.vocab_size());
  std::vector<double> latencies;
  std::printf("Warming up...\n");
  for (int64_t i = -args.num_iters_warmup; i < args.num_iters; ++i) {
    ASSIGN_OR_RETURN(BatchResult done,
                     engine.run(batch, static_cast<int>(args.n), !args.disable_detokenize, seconds_now()));
    if (i >= 0) latencies.push_back(done.seconds);
  }
  const std::vector<double> values = percentiles(latencies, kPercents);
  std::printf("Avg latency: %g seconds\n", mean(latencies));
  json::object shares;
  for (size_t i = 0; i < values.size(); ++i) {
    std::printf("%g%% percentile latency: %g seconds\n", kPercents[i], values[i]);
    shares[std::to_string(static_cast<int>(kPercents[i]))] = values[i];
  }
  return write_json(args.output_json, {{"model_id", args.model},
                                       {"avg_latency", mean(latencies)},
                                       {"latencies", json::array(latencies.begin(), latencies.end())},
                                       {"percentiles", std::move(shares)}});
}

}  // namespace

int latency_bench(const std::vector<std::string>& argv) {
  LatencyArgs args;
  args.enable_prefix_caching = false;  // the same batch again and again: the cache would answer for the engine
  if (auto status = read_flags(latency_page(), argv, args)) return *status;
  if (args.input_len > (1 << 24) || args.output_len > (1 << 24) || args.batch_size * args.n > (1 << 20))
    return failed(invalid_argument("the batch is too large"));
  set_up_bench_log(args);
  Status status = run(args);
  return status ? 0 : failed(status.error());
}

}  // namespace vllm::bench
