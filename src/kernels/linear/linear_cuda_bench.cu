// Speed of the linear layers on the GPU over the shapes of Qwen3 8B and 0.6B, bfloat16: graph replays, weights rotated
// through more memory than L2 holds. Shares are of 4,549 GB/s (streaming read) and 790 TFLOP/s (dense GEMM), both
// measured on an H200.
//   linear_cuda_bench [--out FILE] [--no-sweep] [--algos]      JSON lines to FILE, a table to stdout
// "trace" says when the blocks of a chain run. "chain" runs the linears of a whole model back to back, as a decoder
// does between its attentions.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/linear/linear_cuda_bench.cuh"
#include "kernels/linear/linear_stream.cuh"
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

  // All cuts of the streaming kernel: row groups, staged or not (s), pieces of the ring.
  void sweep(const Shape& s) {
    for (int tokens : {1, 2, 4, 8, 16}) {
      std::string line;
      for (int r : {1, 2, 4, 6}) {
        for (bool staged : {false, true}) {
          LinearConfig config{.kind = LinearKind::kStream, .row_groups = r, .staged_x = staged};
          finish_stream_config({.num_tokens = tokens, .n = static_cast<int>(s.n), .k = static_cast<int>(s.k)},
                               runner->device(), config);
          if (config.ring_pieces == 0) continue;
          for (int ring : {12, config.ring_pieces}) {  // the first one may leave no room for a second block
            if (ring == 12 && (config.ring_pieces == 12 || tokens > 1)) continue;
            config.ring_pieces = ring;
            const std::string impl = fmt::format("sweep r{}{} ring {}", r, staged ? " staged" : "", ring);
            const double us = time_shape(s, tokens, impl, [&](StreamRef ref) {
              return launch_linear_stream(DType::kBFloat16, plain_args(s, tokens), config, ref);
            });
            line += fmt::format(" {}{}/{}:{:.2f}", r, staged ? "s" : "", ring, us);
          }
        }
      }
      printf("sweep %-12s %2d %s\n", s.name, tokens, line.c_str());
    }
  }

  struct Model {
    const char* name;
    int layers;
    int64_t hidden, qkv, heads, inner;
  };
  enum class Variant { kChosen, kNormApart, kUnstaged, kStaged, kRing8, kRing6, kOneRound, kLowTiles, kCublasLt };

  LinearConfig vary(const LinearDesc& desc, Variant variant) const {
    LinearConfig config = pick_config(desc, runner->device());
    if (variant == Variant::kCublasLt) config = {.kind = LinearKind::kCublasLt};
    if (config.kind != LinearKind::kStream) return config;
    LinearConfig other = config;
    if (variant == Variant::kUnstaged) other.staged_x = false;
    if (variant == Variant::kStaged) other.staged_x = true;
    if (variant == Variant::kOneRound) other.row_groups = config.row_groups == 2 ? 4 : config.row_groups;
    if (variant == Variant::kLowTiles) other.row_groups = config.row_groups == 6 ? 2 : 1;
    finish_stream_config(desc, runner->device(), other);
    if (other.ring_pieces < 4) return config;
    if (variant == Variant::kRing8) other.ring_pieces = std::min(other.ring_pieces, 8);
    if (variant == Variant::kRing6) other.ring_pieces = std::min(other.ring_pieces, 6);
    if (variant == Variant::kNormApart) other.fused_norm = false;
    return other;
  }

  Status run_layer(const Model& m, int64_t tokens, Variant variant, StreamRef ref) {
    auto call = [&](TensorView<void, 2> to, TensorView<const void, 2> in, int64_t n, bool add, LinearBack back) {
      LinearCudaParams p{.out = to, .x = in, .n = n, .k = in.size(1), .add_to_out = add};
      p.weight = next_weight(static_cast<size_t>(p.n * p.k * 2)), p.back = back;
      if (!add) p.norm_weight = norm.as<float>();
      if (tracing) return run_traced(p, vary(describe(p), variant), ref);
      const LinearConfig config = vary(describe(p), variant);
      return runner->run(p, config, ref);
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
    } kVariants[] = {
        {Variant::kChosen, "chosen"},      {Variant::kNormApart, "norm_apart"}, {Variant::kUnstaged, "unstaged"},
        {Variant::kStaged, "staged"},      {Variant::kRing8, "ring8"},          {Variant::kRing6, "ring6"},
        {Variant::kOneRound, "one_round"}, {Variant::kLowTiles, "low_tiles"},   {Variant::kCublasLt, "cublaslt"}};
    for (int64_t tokens : {1, 2, 4, 8, 16, 32, 64, 128}) {
      std::string line;
      for (auto [variant, name] : kVariants) {
        if (variant == Variant::kCublasLt && runner->cublaslt() == nullptr) continue;
        if (tokens > kMaxStreamTokens && variant != Variant::kChosen) continue;
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

  Status run_traced(const LinearCudaParams& p, LinearConfig config, StreamRef ref) {
    const bool norm = p.norm_weight != nullptr;
    if (norm && !config.fused_norm) return error(ErrorCode::kInternal, "the norm is apart");
    const LinearKernelArgs out{.out = p.out.data,
                               .out_stride = p.out.stride[0],
                               .n = static_cast<int>(p.n),
                               .back = p.back,
                               .out_float = p.out.dtype == DType::kFloat32,
                               .add_to_out = p.add_to_out};
    linear_cuda_impl::StreamArgs args{.weight = p.weight,
                                      .x = p.x.data,
                                      .x_stride = p.x.stride[0],
                                      .norm_weight = p.norm_weight,
                                      .norm_eps = p.norm_eps,
                                      .num_tokens = static_cast<int>(p.x.size(0)),
                                      .n = static_cast<int>(p.n),
                                      .k = static_cast<int>(p.k),
                                      .ring_pieces = config.ring_pieces,
                                      .epilogue = linear_cuda_impl::Epilogue(out, 2)};
    args.trace = trace.as<long long>() + traced++ % kTraced * kTraceBlocks * kTraceWords;
    return linear_cuda_impl::launch_stream_of<__nv_bfloat16, true>(args, config, ref);
  }

  // When the blocks of one SM begin, have x, have their sums and end, in cycles of that SM after the end of the kernel
  // in front: what overlaps shows as a negative number.
  Status trace_chain(const Model& m, int64_t tokens) {
    int max_shared = runner->device().shared_bytes;
    RETURN_IF_ERROR((linear_cuda_impl::prepare_stream_of<__nv_bfloat16, true>(max_shared)));
    ASSIGN_OR_RETURN(trace, DeviceBuffer::allocate(kTraced * kTraceBlocks * kTraceWords * 8, "trace"));
    tracing = true, traced = 0;
    constexpr int kLayers = kTraced / 4;
    auto layers = [&](StreamRef ref) -> Status {
      for (int i = 0; i < kLayers; ++i) RETURN_IF_ERROR(run_layer(m, tokens, Variant::kChosen, ref));
      return {};
    };
    Result<double> us = time(layers, 3);
    tracing = false;
    if (!us) return us.error();
    std::vector<long long> words(trace.size() / 8);
    CUDA_RETURN_IF_ERROR(cudaMemcpy(words.data(), trace.data(), trace.size(), cudaMemcpyDeviceToHost));
    constexpr const char* kNames[] = {"qkv", "o", "gate_up", "down"};
    for (int kernel = 1; kernel < kTraced; ++kernel) {
      std::array<std::vector<long long>, 4> marks;
      for (int b = 0; b < kTraceBlocks; ++b) {
        const long long* mine = &words[static_cast<size_t>((kernel * kTraceBlocks + b) * kTraceWords)];
        long long before = 0;  // the end of the last block of the kernel in front on that SM
        for (int c = 0; c < kTraceBlocks; ++c) {
          const long long* other = &words[static_cast<size_t>(((kernel - 1) * kTraceBlocks + c) * kTraceWords)];
          if (other[0] != 0 && other[4] == mine[4]) before = std::max(before, other[3]);
        }
        if (mine[0] == 0 || before == 0) continue;
        for (size_t i = 0; i < 4; ++i) marks[i].push_back(mine[i] - before);
      }
      if (marks[0].empty() || kernel < 4 || kernel >= 12) continue;
      std::string line;
      for (auto& mark : marks) {
        std::sort(mark.begin(), mark.end());
        line += fmt::format("  {} / {} / {}", mark.front(), mark[mark.size() / 2], mark.back());
      }
      printf(
          "trace %s %d tokens %-8s blocks %zu, cycles after the one in front: begin, x, sums, end "
          "(min/median/max):%s\n",
          m.name, static_cast<int>(tokens), kNames[kernel % 4], marks[0].size(), line.c_str());
    }
    return {};
  }

  static constexpr int kTraced = 32, kTraceBlocks = 132, kTraceWords = linear_cuda_impl::kTraceMarks + 1;
  DeviceBuffer trace;
  bool tracing = false;
  int traced = 0;
};

int bench_main(int argc, char** argv) {
  Bench bench;
  bool with_sweep = true, algorithms = false;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--no-sweep") == 0) with_sweep = false;
    if (std::strcmp(argv[i], "--algos") == 0) algorithms = true;
    if (std::strcmp(argv[i], "--out") == 0 && i + 1 < argc) bench.file = fopen(argv[++i], "w");
  }
  if (Status status = bench.init(); !status) {
    fprintf(stderr, "%s\n", status.error().message.c_str());
    return 1;
  }
  printf("%s\n", to_string(open_cuda_device(0).value()).c_str());
  if (algorithms) {
    bench_algorithms(bench);
    return 0;
  }
  bench_parts(bench);
  for (const Shape& s : kShapes) bench.shape_rows(s);
  for (const Shape& s : kShapes) {
    if (with_sweep && s.n < 100000) bench.sweep(s);
  }
  const Bench::Model large{"8b", 36, 4096, 6144, 4096, 12288}, small{"0.6b", 28, 1024, 4096, 2048, 3072};
  bench.chain(large);
  bench.chain(small);
  for (int tokens : {1, 4}) {
    for (const Bench::Model* m : {&small, &large}) {
      if (Status status = bench.trace_chain(*m, tokens); !status) printf("trace: %s\n", status.error().message.c_str());
    }
  }
  if (bench.file != nullptr) fclose(bench.file);
  return 0;
}

}  // namespace
}  // namespace vllm::linear_bench

int main(int argc, char** argv) { return vllm::linear_bench::bench_main(argc, argv); }
