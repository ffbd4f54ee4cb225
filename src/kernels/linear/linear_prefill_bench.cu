#include "kernels/linear/linear_cuda_bench.cuh"
#include "kernels/rms_norm/rms_norm_cuda.h"

namespace vllm::linear_bench {
namespace {

constexpr int64_t kPartTokens[] = {64, 256, 512, 2048};
constexpr int kAlgorithmTokens[] = {24,  32,  48,  64,  96,  128, 192,  256,  320,
                                    384, 448, 512, 640, 768, 896, 1024, 1536, 2048};
constexpr int kMaxRanks = 16;

// Microseconds of one launch; each call should take other memory.
template <typename Fn>
void part(BenchBase& b, const std::string& name, int64_t tokens, double bytes, Fn&& one) {
  const int copies = std::clamp(static_cast<int>(400e6 / bytes), 4, 60);
  Result<double> us = b.time(
      [&](StreamRef ref) -> Status {
        for (int i = 0; i < copies; ++i) RETURN_IF_ERROR(one(ref));
        return {};
      },
      5);
  if (!us) {
    printf("part %s, %d tokens: %s\n", name.c_str(), static_cast<int>(tokens), us.error().message.c_str());
    return;
  }
  b.record("part." + name, tokens, "own", *us / copies, bytes, 0);
  printf("part %-16s %5d  %8.2f us  %3.0f%% of the bandwidth\n", name.c_str(), static_cast<int>(tokens), *us / copies,
         bytes * copies / *us * 1e8 / kPeakBytes);
}

}  // namespace

void bench_parts(BenchBase& b) {
  for (int64_t hidden : {1024, 4096}) {
    for (int64_t tokens : kPartTokens) {
      const auto bytes = static_cast<double>(tokens * hidden * 6);
      part(b, fmt::format("norm.{}", hidden), tokens, bytes, [&](StreamRef ref) {
        RmsNormCudaParams p;
        p.x = TensorView<const void, 2>(b.next_weight(static_cast<size_t>(tokens * hidden * 4)), {tokens, hidden},
                                        DType::kFloat32);
        p.out = TensorView<void, 2>(b.wide.data(), {tokens, hidden}, DType::kBFloat16);
        p.weight = b.norm.as<float>(), p.eps = 1e-6f;
        return rms_norm_cuda(p, ref);
      });
    }
  }
  for (int n : {6144, 24576}) {
    for (int64_t tokens : kPartTokens) {
      const auto bytes = static_cast<double>(tokens * n * 3);
      part(b, fmt::format("gate.{}", n), tokens, bytes, [&](StreamRef ref) {
        LinearKernelArgs a{.x = b.next_weight(static_cast<size_t>(tokens * n * 2)), .x_stride = n};
        a.out = b.inner.data(), a.out_stride = n / 2, a.num_tokens = static_cast<int>(tokens), a.n = n;
        a.back = LinearBack::kGatedSilu;
        return launch_linear_back(DType::kBFloat16, a, ref);
      });
    }
  }
}

// For each product of a layer the library's proposals in their order: microseconds each.
void bench_algorithms(BenchBase& b, const std::string& model, int min_tokens) {
  if (b.runner->cublaslt() == nullptr) return;
  for (const Shape& s : kShapes) {
    if (s.n > 100000 || !std::string(s.name).starts_with(model)) continue;
    const bool adds = s.n == 4096 || s.n == 1024;  // o and down; 0.6b.qkv besides
    for (int tokens : kAlgorithmTokens) {
      if (tokens < min_tokens) continue;
      for (int mode = 0; mode < (adds ? 2 : 1); ++mode) {
        std::string line;
        double first = 0, best = 1e9;
        int best_rank = 0;
        for (int rank = 0; rank < kMaxRanks; ++rank) {
          CublasLtShape shape{.n = s.n, .k = s.k, .num_tokens = tokens};
          shape.out_float = shape.add_to_out = mode == 1, shape.rank = rank;
          if (!b.runner->cublaslt()->prepare(shape)) break;
          const double us =
              b.time_shape(s, tokens, fmt::format("rank{}{}", rank, mode ? " add" : ""), [&](StreamRef ref) {
                const LinearKernelArgs a = b.plain_args(s, tokens);
                return b.runner->cublaslt()->multiply(shape, {a.weight, a.x, a.x_stride, a.out, a.out_stride, tokens},
                                                      ref);
              });
          if (rank == 0) first = us;
          if (us < best) best = us, best_rank = rank;
          line += fmt::format(" {:.2f}", us);
        }
        printf("algos %-12s %5d %-4s best %2d: %8.2f, first %8.2f, %4.1f%% |%s\n", s.name, tokens, mode ? "add" : "T",
               best_rank, best, first, (first / best - 1) * 100, line.c_str());
      }
    }
  }
}

}  // namespace vllm::linear_bench
