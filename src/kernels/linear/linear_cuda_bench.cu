// Speed of the linear layers on the GPU over the shapes of Qwen3 8B and 0.6B, bfloat16: graph replays, weights rotated
// through more memory than L2 holds. Shares are of 4,549 GB/s (streaming read) and 790 TFLOP/s (dense GEMM), both
// measured on an H200.
//   linear_cuda_bench [--out FILE] [--no-sweep] [--algos] [--head] [--wgmma [TOKENS]]
// JSON lines to FILE, a table to stdout.
// "chain" runs the linears of a whole model back to back, as a decoder does between its attentions.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/linear/linear_cuda_bench.cuh"
#include "tensor/cuda/device.h"

namespace vllm::linear_bench {
namespace {

struct Bench : BenchBase {
  void shape_rows(const Shape& s) {
    for (int tokens : kTokens) {
      if (s.n > 100000 && tokens > kMaxHeadTokens) continue;
      double stream_us = 0, lt_us = 0, gemm_us = 0;
      if (tokens <= kMaxStreamTokens) {
        const LinearConfig config = pick_config(
            {.num_tokens = tokens, .n = static_cast<int>(s.n), .k = static_cast<int>(s.k)}, runner->device());
        stream_us = time_shape(s, tokens, "stream", [&](StreamRef ref) {
          return launch_linear_stream(DType::kBFloat16, plain_args(s, tokens), config, ref);
        });
      }
      if (runner->cublaslt() != nullptr) {
        lt_us = time_shape(s, tokens, "cublaslt", [&](StreamRef ref) {
          const LinearKernelArgs a = plain_args(s, tokens);
          return runner->cublaslt()->multiply({.n = s.n, .k = s.k, .num_tokens = tokens},
                                              {a.weight, a.x, a.x_stride, a.out, a.out_stride, tokens}, ref);
        });
      }
      gemm_us = time_shape(s, tokens, "gemm", [&](StreamRef ref) {
        return launch_linear_gemm(DType::kBFloat16, plain_args(s, tokens), ref);
      });
      const bool many = tokens > 128;
      auto share = [&](double us) {
        const double work = static_cast<double>(2 * s.n * s.k) * (many ? tokens / kPeakFlops : 1 / kPeakBytes);
        return us > 0 ? work / us * 1e8 : 0.0;
      };
      printf("%-12s %5d  stream %8.2f %3.0f%%  cublaslt %8.2f %3.0f%%  gemm %8.2f %3.0f%%  of the %s\n", s.name, tokens,
             stream_us, share(stream_us), lt_us, share(lt_us), gemm_us, share(gemm_us), many ? "flops" : "bandwidth");
    }
  }

  // All cuts of the streaming kernel: row groups, x staged (s) or not.
  void sweep(const Shape& s) {
    for (int tokens : {1, 2, 4, 8, 16}) {
      std::string line;
      for (int r : {1, 2, 3, 4, 6}) {
        for (bool staged : {false, true}) {
          const int halves = tokens > 8 ? 2 : 1, tiles = static_cast<int>((s.n + 8 * r - 1) / (8 * r));
          if (staged && (tokens > 8 || stream_shared_bytes(r, halves, true, tokens, static_cast<int>(s.k)) >
                                           runner->device().shared_bytes))
            continue;
          LinearConfig config{.kind = LinearKind::kStream, .row_groups = r, .staged_x = staged};
          config.grid = std::min(tiles, runner->device().sm_count);
          const std::string impl = fmt::format("sweep r{}{}", r, staged ? " staged" : "");
          const double us = time_shape(s, tokens, impl, [&](StreamRef ref) {
            return launch_linear_stream(DType::kBFloat16, plain_args(s, tokens), config, ref);
          });
          line += fmt::format(" {}{}:{:.2f}", r, staged ? "s" : "", us);
        }
      }
      for (int split = 1; tokens == 1 && split <= 8; split *= 2) {
        LinearConfig config =
            gemv_config({.num_tokens = 1, .n = static_cast<int>(s.n), .k = static_cast<int>(s.k)}, runner->device());
        const bool picked = split == config.k_split;
        const int blocks = static_cast<int>((s.n / 2 * split + 7) / 8);
        for (int per_sm : {2, 3, 4}) {
          config.k_split = split, config.grid = std::min(blocks, per_sm * runner->device().sm_count);
          const double us = time_shape(s, 1, fmt::format("gemv split {} per_sm {}", split, per_sm), [&](StreamRef ref) {
            return launch_linear_gemv(DType::kBFloat16, plain_args(s, 1), config, ref);
          });
          line += fmt::format(" v{}/{}{}:{:.2f}", split, per_sm, picked ? "*" : "", us);
          if (blocks <= per_sm * runner->device().sm_count) break;
        }
      }
      printf("sweep %-12s %2d %s\n", s.name, tokens, line.c_str());
    }
  }

  // One product with nothing behind it, as an lm_head at the end of a step: tails are not hidden.
  void alone(const Shape& s, int tokens) {
    std::string line;
    auto one = [&](const std::string& impl, auto fn) {
      Result<double> us = time([&](StreamRef ref) { return fn(ref); }, 15);
      line += us ? fmt::format("  {} {:.2f}", impl, *us) : fmt::format("  {}: {}", impl, us.error().message);
      if (us) record(std::string(s.name) + ".alone", tokens, impl, *us, static_cast<double>(s.n * s.k * 2), 0);
    };
    auto args = [&] {
      LinearKernelArgs a = plain_args(s, tokens);
      a.out_float = s.n > 100000;
      return a;
    };
    const LinearDesc desc{.num_tokens = tokens, .n = static_cast<int>(s.n), .k = static_cast<int>(s.k)};
    const LinearConfig picked = pick_config(desc, runner->device());
    for (int each : {0, 1, 2, 4, 8}) {
      for (int r : {1, 2, picked.row_groups}) {
        LinearConfig config = picked;
        if (each == 0 && r != picked.row_groups) continue;
        config.row_groups = r;
        if (each != 0) spread(desc.n, 8 * r, each, config);
        one(fmt::format("r{}/{}", r, each),
            [&](StreamRef ref) { return launch_linear_stream(DType::kBFloat16, args(), config, ref); });
        if (r == picked.row_groups) break;
      }
      if (tokens > 1) continue;
      LinearConfig gemv = gemv_config(desc, runner->device());
      if (each != 0) spread(desc.n, 16 / gemv.k_split, each, gemv);
      one(fmt::format("gemv/{}", each),
          [&](StreamRef ref) { return launch_linear_gemv(DType::kBFloat16, args(), gemv, ref); });
    }
    if (runner->cublaslt() != nullptr) {
      one("cublaslt", [&](StreamRef ref) {
        const LinearKernelArgs a = args();
        return runner->cublaslt()->multiply({.n = s.n, .k = s.k, .num_tokens = tokens, .out_float = a.out_float},
                                            {a.weight, a.x, a.x_stride, a.out, a.out_stride, tokens}, ref);
      });
    }
    printf("alone %-12s %2d %s\n", s.name, tokens, line.c_str());
  }

  struct Model {
    const char* name;
    int layers;
    int64_t hidden, qkv, heads, inner;
  };
  enum class Variant {
    kChosen,
    kNormApart,
    kUnstaged,
    kFused,
    kLate1,
    kLate2,
    kDynamic1,
    kDynamic2,
    kLowTiles,
    kGemv,
    kGemvLate1,
    kGemvLate2,
    kGemvWide,
    kGemvDynamic1,
    kGemvDynamic2,
    kGemvApart,
    kGemvBack,
    kGemvFront,
    kCublasLt
  };

  // One block for every `tiles_each` tiles of `rows`.
  static void spread(int n, int rows, int tiles_each, LinearConfig& config) {
    config.grid = (n + rows * tiles_each - 1) / (rows * tiles_each);
  }

  LinearConfig vary(const LinearDesc& desc, Variant variant) const {
    LinearConfig config = pick_config(desc, runner->device());
    if (variant == Variant::kCublasLt) config = {.kind = LinearKind::kCublasLt};
    if (config.kind != LinearKind::kStream) return config;
    if (variant >= Variant::kGemv && desc.num_tokens == 1) {
      if (variant == Variant::kGemvBack && desc.norm) return config;
      if (variant == Variant::kGemvFront && !desc.norm) return config;
      config = gemv_config(desc, runner->device());
      if (variant == Variant::kGemvWide) {
        const int groups = 8 / config.k_split;
        config.grid = std::min((desc.n / 2 + groups - 1) / groups, 4 * runner->device().sm_count);
      }
    }
    if (variant == Variant::kLate1 || variant == Variant::kGemvLate1) config.launch_at = 1;
    if (variant == Variant::kLate2 || variant == Variant::kGemvLate2) config.launch_at = 2;
    if (variant == Variant::kGemvApart) config.fused_norm = false;
    // The hardware hands out the blocks: one tile each, or two.
    if (variant == Variant::kDynamic1 || variant == Variant::kLowTiles)
      spread(desc.n, 8 * config.row_groups, 1, config);
    if (variant == Variant::kDynamic2) spread(desc.n, 8 * config.row_groups, 2, config);
    if (variant == Variant::kLowTiles && desc.n > 16384)
      config.row_groups = 2, spread(desc.n, 16, desc.num_tokens == 1 ? 1 : 2, config);
    const int gemv_rows = 16 / config.k_split;
    if (variant == Variant::kGemvDynamic1) spread(desc.n, gemv_rows, 1, config);
    if (variant == Variant::kGemvDynamic2) spread(desc.n, gemv_rows, 2, config);
    if (variant == Variant::kNormApart) config.fused_norm = false;
    if (variant == Variant::kUnstaged) config.staged_x = config.fused_norm = false;
    if (variant == Variant::kFused && desc.norm && desc.num_tokens <= 8) config.staged_x = config.fused_norm = true;
    return config;
  }

  Status run_layer(const Model& m, int64_t tokens, Variant variant, StreamRef ref) {
    auto call = [&](TensorView<void, 2> to, TensorView<const void, 2> in, int64_t n, bool add, LinearBack back) {
      LinearCudaParams p{.out = to, .x = in, .n = n, .k = in.size(1), .add_to_out = add};
      p.weight = next_weight(static_cast<size_t>(p.n * p.k * 2)), p.back = back;
      if (!add) p.norm_weight = norm.as<float>();
      return runner->run(p, vary(describe(p), variant), ref);
    };
    const TensorView<void, 2> stream_x(residual.data(), {tokens, m.hidden}, DType::kFloat32),
        qkv(wide.data(), {tokens, m.qkv}, DType::kBFloat16), hidden(inner.data(), {tokens, m.inner}, DType::kBFloat16);
    TensorView<void, 2> heads = qkv;
    heads.shape[1] = m.heads;
    RETURN_IF_ERROR(call(qkv, stream_x, m.qkv, false, LinearBack::kNone));
    RETURN_IF_ERROR(call(stream_x, heads, m.hidden, true, LinearBack::kNone));
    RETURN_IF_ERROR(call(hidden, stream_x, 2 * m.inner, false, LinearBack::kGatedSilu));
    return call(stream_x, hidden, m.hidden, true, LinearBack::kNone);
  }

  void chain(const Model& m) {
    const double bytes = 2.0 * static_cast<double>(m.hidden * (m.qkv + m.heads + 3 * m.inner));
    constexpr struct {
      Variant variant;
      const char* name;
    } kVariants[] = {{Variant::kChosen, "chosen"},
                     {Variant::kNormApart, "norm_apart"},
                     {Variant::kUnstaged, "unstaged"},
                     {Variant::kFused, "fused"},
                     {Variant::kLate1, "late1"},
                     {Variant::kLate2, "late2"},
                     {Variant::kDynamic1, "dynamic1"},
                     {Variant::kDynamic2, "dynamic2"},
                     {Variant::kLowTiles, "low_tiles"},
                     {Variant::kGemv, "gemv"},
                     {Variant::kGemvLate1, "gemv_late1"},
                     {Variant::kGemvLate2, "gemv_late2"},
                     {Variant::kGemvWide, "gemv_wide"},
                     {Variant::kGemvDynamic1, "gemv_dynamic1"},
                     {Variant::kGemvDynamic2, "gemv_dynamic2"},
                     {Variant::kGemvApart, "gemv_norm_apart"},
                     {Variant::kGemvBack, "gemv_o_down"},
                     {Variant::kGemvFront, "gemv_qkv_gate_up"},
                     {Variant::kCublasLt, "cublaslt"}};
    for (int64_t tokens : {1, 2, 4, 8, 16, 32, 64, 128}) {
      std::string line;
      for (auto [variant, name] : kVariants) {
        if (variant == Variant::kCublasLt && runner->cublaslt() == nullptr) continue;
        if (tokens > kMaxStreamTokens && variant != Variant::kChosen) continue;
        if (tokens > 1 && variant >= Variant::kGemv && variant != Variant::kCublasLt) continue;
        Result<double> us = time(
            [&, variant = variant](StreamRef ref) -> Status {
              for (int i = 0; i < m.layers; ++i) RETURN_IF_ERROR(run_layer(m, tokens, variant, ref));
              return {};
            },
            7);
        if (!us) {
          line += fmt::format("  {}: {}", name, us.error().message);
          continue;
        }
        const double layer = *us / m.layers;
        record(fmt::format("chain.{}", m.name), tokens, name, layer, bytes, bytes * static_cast<double>(tokens));
        line += fmt::format("  {} {:.2f} us {:.0f}%", name, layer, bytes / layer * 1e8 / kPeakBytes);
      }
      printf("chain %-5s %2d tokens, a layer:%s\n", m.name, static_cast<int>(tokens), line.c_str());
    }
  }
};

int bench_main(int argc, char** argv) {
  Bench bench;
  bool with_sweep = true, algorithms = false, wgmma = false, head = false;
  int tokens = 0;
  std::string model;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--no-sweep") == 0) with_sweep = false;
    if (std::strcmp(argv[i], "--algos") == 0) algorithms = true;
    if (std::strcmp(argv[i], "--model") == 0 && i + 1 < argc) model = argv[++i];
    if (std::strcmp(argv[i], "--min-tokens") == 0 && i + 1 < argc) tokens = std::atoi(argv[++i]);
    if (std::strcmp(argv[i], "--head") == 0) head = true;
    if (std::strcmp(argv[i], "--wgmma") == 0) {
      wgmma = true;
      if (i + 1 < argc) tokens = std::atoi(argv[i + 1]);
    }
    if (std::strcmp(argv[i], "--out") == 0 && i + 1 < argc) bench.file = fopen(argv[++i], "w");
  }
  if (Status status = bench.init(); !status) {
    fprintf(stderr, "%s\n", status.error().message.c_str());
    return 1;
  }
  printf("%s\n", to_string(open_cuda_device(0).value()).c_str());
  if (algorithms || wgmma) {
    if (algorithms) bench_algorithms(bench, model, tokens);
    if (wgmma) bench_wgmma(bench, tokens);
    return 0;
  }
  if (head) {
    for (int tokens : {1, 8}) bench_head(bench, {"0.6b.head", 151936, 1024}, tokens);
    return 0;
  }
  bench_parts(bench);
  for (const Shape& s : kShapes) bench.shape_rows(s);
  for (const Shape& s : kShapes) {
    if (with_sweep && s.n < 100000) bench.sweep(s);
  }
  for (const Shape& s : kShapes) {
    if (s.n * s.k * 2 < (int64_t{90} << 20)) continue;  // replays would find it in L2
    for (int tokens : {1, 8}) bench.alone(s, tokens);
  }
  bench.chain({"8b", 36, 4096, 6144, 4096, 12288});
  bench.chain({"0.6b", 28, 1024, 4096, 2048, 3072});
  if (bench.file != nullptr) fclose(bench.file);
  return 0;
}

}  // namespace
}  // namespace vllm::linear_bench

int main(int argc, char** argv) { return vllm::linear_bench::bench_main(argc, argv); }
