#include <algorithm>
#include <cstdint>

#include "kernels/embedding/embedding_cuda.h"
#include "tensor/cuda/launch.cuh"
#include "tensor/cuda/types.cuh"

namespace vllm {
namespace {

constexpr int kThreads = 128;

// One block per row and per chunk of kThreads * Width columns; Width values are one access where rows allow it.
template <typename T, int Width>
__global__ void __launch_bounds__(kThreads)
    embedding_kernel(float* out, int64_t out_stride, const int32_t* token_ids, const T* weight, int64_t weight_stride,
                     int64_t vocab_size, int64_t hidden, float scale) {
  // In this order: a kernel that starts behind this one may then read the step's batch without a wait of its own.
  pdl_wait();
  pdl_launch();
  const int64_t row = blockIdx.x, i = (int64_t{blockIdx.y} * kThreads + threadIdx.x) * Width;
  if (i >= hidden) return;
  const int64_t id = token_ids[row];
  Vec<T, Width> in{};
  const bool known = 0 <= id && id < vocab_size;
  if (known) in = *reinterpret_cast<const Vec<T, Width>*>(weight + id * weight_stride + i);
  constexpr int kStore = Width < 4 ? Width : 4;  // floats of one store
  float* to = out + row * out_stride + i;
#pragma unroll
  for (int j = 0; j < Width; j += kStore) {
    Vec<float, kStore> values;
#pragma unroll
    for (int s = 0; s < kStore; ++s) values[s] = known ? to_float(in[j + s]) * scale : 0.0f;
    *reinterpret_cast<Vec<float, kStore>*>(to + j) = values;
  }
}

bool aligned16(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

template <typename T, int Width>
Status run(const EmbeddingCudaParams& p, StreamRef stream) {
  const int64_t num_tokens = p.out.size(0), hidden = p.out.size(1);
  const auto chunks = static_cast<unsigned>((hidden + kThreads * Width - 1) / (kThreads * Width));
  return launch(embedding_kernel<T, Width>, {dim3(static_cast<unsigned>(num_tokens), chunks), dim3(kThreads)}, stream,
                p.out.data, p.out.stride[0], p.token_ids, static_cast<const T*>(p.weight.data), p.weight.stride[0],
                p.weight.size(0), hidden, p.scale);
}

}  // namespace

Status embedding_cuda(const EmbeddingCudaParams& p, StreamRef stream) {
  const int64_t num_tokens = p.out.size(0), hidden = p.out.size(1);
  if (p.weight.size(1) != hidden) {
    return invalid_argument("embedding: weight has {} columns, out has {}", p.weight.size(1), hidden);
  }
  if (p.out.stride[1] != 1 || p.weight.stride[1] != 1) return invalid_argument("embedding: rows must be contiguous");
  if (num_tokens > INT32_MAX || hidden > int64_t{1} << 20) {
    return invalid_argument("embedding: [{}, {}] is too large", num_tokens, hidden);
  }
  if (num_tokens == 0 || hidden == 0) return {};
  return dispatch_float(p.weight.dtype, [&](auto tag) {
    using T = decltype(tag);
    constexpr int kWidth = kVecWidth<T>;
    const bool wide = hidden % kWidth == 0 && p.weight.stride[0] % kWidth == 0 && p.out.stride[0] % 4 == 0 &&
                      aligned16(p.weight.data) && aligned16(p.out.data);
    return wide ? run<T, kWidth>(p, stream) : run<T, 1>(p, stream);
  });
}

}  // namespace vllm
