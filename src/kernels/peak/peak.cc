#include "kernels/peak/peak.h"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <vector>

#include "kernels/peak/peak_loops.h"
#include "tensor/cpu_info.h"

namespace vllm {
namespace {

// What the compiler may not drop.
std::atomic<int64_t> g_sink{0};

// Short passes: some of them fall between the time slices of other jobs.
double rate(const peak::Loop& loop, ThreadPool& pool) {
  if (!loop.run) return 0;
  constexpr int64_t kRounds = 4000;
  const int64_t tiles = 4 * pool.num_threads();
  double best = 0;
  for (int pass = 0; pass < 100; ++pass) {
    const double start = compute_seconds(pool);
    pool.parallel_for(tiles, [&](int64_t, int) { g_sink += loop.run(kRounds); });
    best = std::max(best, static_cast<double>(tiles * kRounds) * loop.ops_per_round / (compute_seconds(pool) - start));
  }
  return best;
}

}  // namespace

double compute_seconds(const ThreadPool& pool) {
  timespec time{};
  clock_gettime(pool.num_threads() == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

PeakRates measure_peaks(ThreadPool& pool) {
  const peak::Loops* loops = &peak::generic_loops();
  const peak::Loop *int8 = &loops->int8, *bfloat16 = &loops->bfloat16;
#if defined(__x86_64__)
  if (cpu_isa() == CpuIsa::kAvx2) loops = &peak::avx2_loops();
  if (cpu_isa() == CpuIsa::kAvx512) loops = &peak::avx512_loops();
  int8 = &loops->int8;
  if (cpu_has_avx512_bf16()) bfloat16 = &peak::avx512_bf16_loops().bfloat16;
  const char* isa = loops->isa;
#elif defined(__aarch64__)
  if (cpu_isa() >= CpuIsa::kNeon) loops = &peak::neon_loops(), int8 = &loops->int8;
  if (cpu_isa() >= CpuIsa::kNeonDotProd) int8 = &peak::neon_dotprod_loops().int8;
  if (cpu_isa() >= CpuIsa::kNeonI8mm)
    int8 = &peak::neon_i8mm_loops().int8, bfloat16 = &peak::neon_i8mm_loops().bfloat16;
  const char* isa = cpu_isa() == CpuIsa::kReference ? loops->isa : to_string(cpu_isa()).data();
#else
  const char* isa = loops->isa;
#endif
  return {.int8_ops = rate(*int8, pool),
          .bfloat16_flops = rate(*bfloat16, pool),
          .float_flops = rate(loops->float32, pool),
          .isa = isa};
}

double measure_read_bandwidth(std::span<const std::byte> memory, ThreadPool& pool, int passes) {
  constexpr size_t kTile = size_t{1} << 19, kLine = 64;
  constexpr int64_t kPart = 16;  // tiles that are timed together
  const int64_t tiles = static_cast<int64_t>(memory.size() / kTile);
  std::vector<double> rates;
  for (int pass = 0; pass < passes; ++pass) {
    for (int64_t first = 0; first < tiles; first += kPart) {
      const int64_t count = std::min(kPart, tiles - first);
      const double start = compute_seconds(pool);
      pool.parallel_for(count, [&](int64_t tile, int) {
        const std::byte* at = memory.data() + static_cast<size_t>(first + tile) * kTile;
        int64_t sum = 0;
        for (size_t i = 0; i < kTile; i += kLine) {
          int64_t word;
          __builtin_memcpy(&word, at + i, sizeof word);
          sum += word;
        }
        g_sink += sum;
      });
      rates.push_back(static_cast<double>(count) * kTile / (compute_seconds(pool) - start));
    }
  }
  if (rates.empty()) return 0;
  const auto place = rates.begin() + static_cast<std::ptrdiff_t>(rates.size() * 9 / 10);
  std::nth_element(rates.begin(), place, rates.end());
  return *place;
}

}  // namespace vllm
