#pragma once
// What the suites of linear_cuda_bench share: random inputs on the device, timing by graph replays, JSON lines.
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "kernels/linear/linear_runner.h"
#include "tensor/cuda/handles.h"
#include "tensor/cuda/launch.cuh"
#include "tensor/cuda/types.cuh"

namespace vllm::linear_bench {

inline constexpr double kPeakBytes = 4549e9, kPeakFlops = 790e12;
inline constexpr size_t kPoolBytes = size_t{2600} << 20;
inline constexpr int64_t kMaxTokens = 2048, kMaxHeadTokens = 256;

struct Shape {
  const char* name;
  int64_t n, k;
};
inline constexpr Shape kShapes[] = {
    {"8b.qkv", 6144, 4096},    {"8b.o", 4096, 4096},       {"8b.gate_up", 24576, 4096}, {"8b.down", 4096, 12288},
    {"8b.head", 151936, 4096}, {"0.6b.qkv", 4096, 1024},   {"0.6b.o", 1024, 2048},      {"0.6b.gate_up", 6144, 1024},
    {"0.6b.down", 1024, 3072}, {"0.6b.head", 151936, 1024}};
inline constexpr int kTokens[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 2048};

// Uniform in [-scale, scale), from a hash of the index.
template <typename T>
__global__ void fill(T* out, int64_t count, uint32_t seed, float scale) {
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += int64_t{gridDim.x} * blockDim.x) {
    uint32_t h = static_cast<uint32_t>(i) * 2654435761u + seed;
    h ^= h >> 16, h *= 0x85ebca6bu, h ^= h >> 13, h *= 0xc2b2ae35u, h ^= h >> 16;
    out[i] = from_float<T>((static_cast<float>(h >> 8) / 8388608.0f - 1.0f) * scale);
  }
}

struct BenchBase {
  DeviceBuffer pool, x, residual, norm, out, wide, inner;
  std::unique_ptr<LinearRunner> runner;
  CudaStream stream;
  FILE* file = nullptr;
  size_t cursor = 0;

  Status init() {
    ASSIGN_OR_RETURN(stream, CudaStream::create());
    ASSIGN_OR_RETURN(pool, DeviceBuffer::allocate(kPoolBytes, "weights"));
    ASSIGN_OR_RETURN(x, DeviceBuffer::allocate(kMaxTokens * 12288 * 2, "x"));
    ASSIGN_OR_RETURN(residual, DeviceBuffer::allocate(kMaxTokens * 4096 * 4, "residual"));
    ASSIGN_OR_RETURN(norm, DeviceBuffer::allocate(12288 * 4, "norm"));
    ASSIGN_OR_RETURN(out, DeviceBuffer::allocate(kMaxTokens * 24576 * 4, "out"));
    ASSIGN_OR_RETURN(wide, DeviceBuffer::allocate(kMaxTokens * 6144 * 2, "qkv"));
    ASSIGN_OR_RETURN(inner, DeviceBuffer::allocate(kMaxTokens * 12288 * 2, "inner"));
    fill<<<1024, 256>>>(pool.as<__nv_bfloat16>(), static_cast<int64_t>(pool.size() / 2), 1u, 0.03f);
    fill<<<1024, 256>>>(x.as<__nv_bfloat16>(), static_cast<int64_t>(x.size() / 2), 2u, 1.0f);
    fill<<<1024, 256>>>(residual.as<float>(), static_cast<int64_t>(residual.size() / 4), 3u, 1.0f);
    fill<<<1024, 256>>>(norm.as<float>(), static_cast<int64_t>(norm.size() / 4), 4u, 1.0f);
    CUDA_RETURN_IF_ERROR(cudaDeviceSynchronize());
    ASSIGN_OR_RETURN(runner, LinearRunner::create({.max_tokens = kMaxTokens, .max_k = 12288, .max_n = 151936}));
    return runner->prepare(24576, 4096, LinearBack::kGatedSilu);
  }

  // The next stretch of the pool, wrapping around.
  const void* next_weight(size_t bytes) {
    if (cursor + bytes > pool.size()) cursor = 0;
    const void* place = pool.data() + cursor;
    cursor += (bytes + 255) / 256 * 256;
    return place;
  }

  // Median microseconds of a replay of what `launches` launches; run once outside a graph before.
  template <typename Fn>
  Result<double> time(Fn&& launches, int runs) {
    RETURN_IF_ERROR(launches(stream));
    RETURN_IF_ERROR(stream.synchronize());
    ASSIGN_OR_RETURN(CudaGraph graph, CudaGraph::capture(stream, launches));
    ASSIGN_OR_RETURN(CudaEvent begin, CudaEvent::create(true));
    ASSIGN_OR_RETURN(CudaEvent end, CudaEvent::create(true));
    std::vector<float> ms;
    for (int i = 0; i < runs + 2; ++i) {
      RETURN_IF_ERROR(begin.record(stream));
      RETURN_IF_ERROR(graph.launch(stream));
      RETURN_IF_ERROR(end.record(stream));
      RETURN_IF_ERROR(end.synchronize());
      ASSIGN_OR_RETURN(float elapsed, CudaEvent::elapsed_ms(begin, end));
      if (i >= 2) ms.push_back(elapsed);
    }
    std::sort(ms.begin(), ms.end());
    return double{ms[ms.size() / 2]} * 1e3;
  }

  void record(const std::string& name, int64_t tokens, const std::string& impl, double us, double bytes, double flops) {
    if (file == nullptr) return;
    fmt::print(
        file,
        "{{\"suite\":\"linear_cuda\",\"load\":\"{}\",\"tokens\":{},\"impl\":\"{}\",\"us\":{:.2f},\"GB/s\":{:.0f},"
        "\"TFLOP/s\":{:.1f},\"share_bandwidth\":{:.3f},\"share_flops\":{:.3f}}}\n",
        name, tokens, impl, us, bytes / us * 1e-3, flops / us * 1e-6, bytes / us * 1e6 / kPeakBytes,
        flops / us * 1e6 / kPeakFlops);
  }

  LinearKernelArgs plain_args(const Shape& s, int64_t tokens) {
    return {.weight = next_weight(static_cast<size_t>(s.n * s.k * 2)),
            .x = x.data(),
            .x_stride = s.k,
            .out = out.data(),
            .out_stride = s.n,
            .num_tokens = static_cast<int>(tokens),
            .n = static_cast<int>(s.n),
            .k = static_cast<int>(s.k)};
  }

  // Microseconds of one product, or what went wrong.
  template <typename Fn>
  double time_shape(const Shape& s, int64_t tokens, const std::string& impl, Fn&& one) {
    const double bytes = static_cast<double>(s.n * s.k * 2), flops = 2.0 * static_cast<double>(s.n * s.k * tokens);
    const int copies = std::clamp(static_cast<int>(260e6 / bytes) + 1, 3, 80);
    Result<double> us = time(
        [&](StreamRef ref) -> Status {
          for (int i = 0; i < copies; ++i) RETURN_IF_ERROR(one(ref));
          return {};
        },
        tokens > 256 ? 3 : 7);
    if (!us) {
      printf("%s, %d tokens, %s: %s\n", s.name, static_cast<int>(tokens), impl.c_str(), us.error().message.c_str());
      return 1e9;
    }
    record(s.name, tokens, impl, *us / copies, bytes, flops);
    return *us / copies;
  }
};

/// Times of the parts of a prefill layer that are not GEMMs, and of cuBLASLt's algorithms for one model's shapes, or
/// "": all (linear_prefill_bench.cu).
void bench_parts(BenchBase& bench);
void bench_algorithms(BenchBase& bench, const std::string& model, int min_tokens);
/// Cuts of the lm_head at few tokens (linear_head_bench.cu).
void bench_head(BenchBase& bench, const Shape& shape, int tokens);
/// The warpgroup kernel's cuts beside cuBLASLt, and layers of its best ones (linear_wgmma_bench.cu); of so many tokens,
/// or 0: all.
void bench_wgmma(BenchBase& bench, int only_tokens);

}  // namespace vllm::linear_bench
