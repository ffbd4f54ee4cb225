// Speed of the linear op: GB/s of weights read at one token, GOPS (2 n k per token) at many.
//   linear_bench --benchmark_filter='q4_1/.*'      names: type/kernels/num_tokens/threads[/two_terms]
// The weight has 64 MB or more, so that one token reads it from memory; `of_read` is the share of the bandwidth that
// plain reads of the same memory reach with the same threads (`read`).
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <map>
#include <memory>
#include <string>

#include "kernels/linear/linear_run.h"
#include "kernels/linear/linear_test_data.h"
#include "tensor/cpu_info.h"

namespace vllm {
namespace {

constexpr int64_t kColumns = 2048;

ThreadPool& pool_of(int threads) {
  static std::map<int, std::unique_ptr<ThreadPool>> pools;
  auto& pool = pools[threads];
  if (!pool) pool = std::make_unique<ThreadPool>(threads);
  return *pool;
}

double seconds_now(int threads) {
  timespec time{};
  clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Bytes a second of reading 256 MB, one word of each cache line, with all threads: the best of several passes. One
// thread is timed by its CPU time, as the op is.
double read_bandwidth(int threads) {
  static std::map<int, double> known;
  if (double value = known[threads]; value > 0) return value;
  static const std::vector<int64_t> memory(size_t{32} << 20, 1);
  constexpr int64_t kTile = 1 << 16;
  for (int pass = 0; pass < 12; ++pass) {
    const double start = seconds_now(threads);
    std::atomic<int64_t> total{0};
    pool_of(threads).parallel_for(static_cast<int64_t>(memory.size()) / kTile, [&](int64_t tile, int) {
      int64_t sum = 0;
      for (int64_t i = 0; i < kTile; i += 8) sum += memory[static_cast<size_t>(tile * kTile + i)];
      total += sum;
    });
    benchmark::DoNotOptimize(total.load());
    known[threads] = std::max(known[threads], static_cast<double>(memory.size() * 8) / (seconds_now(threads) - start));
  }
  return known[threads];
}

void run_linear(benchmark::State& state, DType dtype, const linear::Kernels* kernels, int64_t num_tokens, int threads,
                bool in_cache, bool two_term_x) {
  const double bytes_per_weight =
      static_cast<double>(linear::panel_bytes(dtype, kColumns)) / (kColumns * linear::kPanelRows);
  const int64_t n = in_cache ? 1024 : static_cast<int64_t>((64 << 20) / bytes_per_weight / kColumns) / 64 * 64;
  auto arrays = testing::make_linear(
      {.num_tokens = num_tokens, .n = n, .blocks = kColumns / (is_quantized(dtype) ? info(dtype).block_size : 32)},
      dtype, 1);
  ThreadPool& pool = pool_of(threads);
  arrays.params.two_term_x = two_term_x;
  PackedWeight packed = pack_linear_weight(arrays.params.weight, pool);
  arrays.params.weight = packed.weight;
  std::vector<std::byte> workspace(linear_workspace_bytes(num_tokens, kColumns));
  for (auto _ : state) linear::run(*kernels, std::span(&arrays.params, 1), workspace, pool);
  const double rounds = static_cast<double>(state.iterations()),
               bytes = rounds * static_cast<double>(packed.storage.size());
  state.counters["GB/s"] = benchmark::Counter(bytes / 1e9, benchmark::Counter::kIsRate);
  state.counters["GOPS"] =
      benchmark::Counter(rounds * 2e-9 * static_cast<double>(n * kColumns * num_tokens), benchmark::Counter::kIsRate);
  if (num_tokens == 1)
    state.counters["of_read"] = benchmark::Counter(bytes / read_bandwidth(threads), benchmark::Counter::kIsRate);
}

void run_pack(benchmark::State& state, DType dtype) {
  auto arrays = testing::make_linear(
      {.num_tokens = 0, .n = 1024, .blocks = kColumns / (is_quantized(dtype) ? info(dtype).block_size : 32)}, dtype, 1);
  for (auto _ : state) benchmark::DoNotOptimize(pack_linear_weight(arrays.params.weight, pool_of(1)));
  state.counters["Mweights/s"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * 1e-6 * 1024 * kColumns, benchmark::Counter::kIsRate);
}

void run_quantize(benchmark::State& state, const linear::Kernels* kernels, int num_terms) {
  std::vector<float> x(kColumns, 0.5f);
  std::vector<linear::QuantizedBlock<2>> out(kColumns / 32);
  for (auto _ : state) kernels->quantize(x.data(), kColumns, num_terms, out.data());
  state.counters["Melements/s"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * 1e-6 * kColumns, benchmark::Counter::kIsRate);
}

const bool kRegistered = [] {
  benchmark::AddCustomContext("cpu", cpu_description());
  for (int threads : {1, 2}) {
    benchmark::RegisterBenchmark(("read/" + std::to_string(threads)).c_str(), [threads](benchmark::State& state) {
      for (auto _ : state) benchmark::DoNotOptimize(read_bandwidth(threads));
      state.counters["GB/s"] = read_bandwidth(threads) / 1e9;
    })->Iterations(1);
  }
  for (const linear::Kernels* kernels : linear::available_kernels()) {
    for (DType dtype : kLinearTypes) {
      for (int64_t num_tokens : {1, 4, 32, 512}) {
        for (int threads : {1, 2}) {
          for (bool two_term_x : {false, true}) {
            if (two_term_x && !is_quantized(dtype)) continue;
            std::string name = std::string(info(dtype).name) + "/" + kernels->name + "/" + std::to_string(num_tokens) +
                               "/" + std::to_string(threads) + (two_term_x ? "/two_terms" : "");
            auto* bench = benchmark::RegisterBenchmark(name.c_str(), run_linear, dtype, kernels, num_tokens, threads,
                                                       num_tokens > 1, two_term_x);
            if (threads > 1)
              bench->UseRealTime();  // one thread: its CPU time, which other jobs of a shared machine disturb less
          }
        }
      }
    }
    for (int terms : {1, 2}) {
      benchmark::RegisterBenchmark((std::string("quantize/") + kernels->name + "/" + std::to_string(terms)).c_str(),
                                   run_quantize, kernels, terms);
    }
  }
  for (DType dtype : kLinearTypes) {
    benchmark::RegisterBenchmark(("pack/" + std::string(info(dtype).name)).c_str(), run_pack, dtype);
  }
  return true;
}();

}  // namespace
}  // namespace vllm
