// vllm bench latency
#include <algorithm>
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

// Prompt tokens a second until every sequence has its first token, and the tokens after it: each the best of the runs,
// which other jobs of a shared machine disturb least.
struct Rates {
  double prefill = 0, decode = 0;
};
Rates best_rates(const LatencyArgs& args, const std::vector<double>& latencies, const std::vector<double>& first) {
  Rates out;
  const auto sequences = static_cast<double>(args.batch_size * args.n);
  for (size_t i = 0; i < first.size(); ++i) {
    out.prefill = std::max(out.prefill, static_cast<double>(args.batch_size * args.input_len) / first[i]);
    if (args.output_len > 1)
      out.decode =
          std::max(out.decode, sequences * static_cast<double>(args.output_len - 1) / (latencies[i] - first[i]));
  }
  return out;
}

Status run(const LatencyArgs& args) {
  EngineRunner engine;
  RETURN_IF_ERROR(engine.start(args));
  const std::vector<EngineJob> batch = random_batch(args, engine.vocab_size());
  std::vector<double> latencies, first_tokens;
  std::printf("Warming up...\n");
  const int64_t num_iters = args.profile ? 1 : args.num_iters;
  for (int64_t i = -args.num_iters_warmup; i < num_iters; ++i) {
    if (args.profile && i == 0) RETURN_IF_ERROR(engine.start_profile());
    ASSIGN_OR_RETURN(BatchResult done,
                     engine.run(batch, static_cast<int>(args.n), !args.disable_detokenize, seconds_now()));
    if (i >= 0) latencies.push_back(done.seconds), first_tokens.push_back(done.first_seconds);
  }
  if (args.profile) {
    std::printf("Profiled batch: %g seconds\n", latencies.front());
    return engine.stop_profile();
  }
  const std::vector<double> values = percentiles(latencies, kPercents);
  std::printf("Avg latency: %g seconds\n", mean(latencies));
  const Rates rates = best_rates(args, latencies, first_tokens);
  json::object shares;
  for (size_t i = 0; i < values.size(); ++i) {
    std::printf("%g%% percentile latency: %g seconds\n", kPercents[i], values[i]);
    shares[std::to_string(static_cast<int>(kPercents[i]))] = values[i];
  }
  std::printf("Prefill of %lld tokens: %.1f tokens/s, decode of the %lld others: %.1f tokens/s (best of %lld)\n",
              static_cast<long long>(args.batch_size * args.input_len), rates.prefill,
              static_cast<long long>(args.batch_size * args.n * (args.output_len - 1)), rates.decode,
              static_cast<long long>(args.num_iters));
  return write_json(args.output_json, {{"model_id", args.model},
                                       {"prefill_tokens_per_second", rates.prefill},
                                       {"decode_tokens_per_second", rates.decode},
                                       {"first_token_latencies", json::array(first_tokens.begin(), first_tokens.end())},
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
  args.profiler.enabled |= args.profile;
  set_up_bench_log(args);
  Status status = run(args);
  return status ? 0 : failed(status.error());
}

}  // namespace vllm::bench
