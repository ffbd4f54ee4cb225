#pragma once
// How a finished sum reaches memory: bias, gated activation, residual add, rounding.
#include "kernels/linear/linear_cuda_kernels.h"
#include "tensor/cuda/types.cuh"

namespace vllm::linear_cuda_impl {

struct Epilogue {
  void* out;
  int64_t out_stride;
  const float* bias;
  int n;
  LinearBack back;
  bool out_float, add_to_out;
  bool pairs;  // two neighbours may be stored as one access

  Epilogue(const LinearKernelArgs& args, size_t element_bytes)
      : out(args.out),
        out_stride(args.out_stride),
        bias(args.bias),
        n(args.n),
        back(args.back),
        out_float(args.out_float),
        add_to_out(args.add_to_out) {
    const size_t bytes = 2 * (out_float ? 4 : element_bytes);
    pairs = out_stride % 2 == 0 && reinterpret_cast<uintptr_t>(out) % bytes == 0;
  }
};

__device__ __forceinline__ float activate(LinearBack back, float x) {
  switch (back) {
    case LinearBack::kGatedSilu: return x / (1.0f + expf(-x));
    case LinearBack::kGatedGelu: return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    case LinearBack::kGatedGeluTanh: return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
    case LinearBack::kNone: break;
  }
  return x;
}

template <typename U>
__device__ __forceinline__ void store_values(U* out, float a, float b, bool two, bool pairs) {
  if (two && pairs) {
    Vec<U, 2> both;
    both[0] = from_float<U>(a), both[1] = from_float<U>(b);
    *reinterpret_cast<Vec<U, 2>*>(out) = both;
    return;
  }
  out[0] = from_float<U>(a);
  if (two) out[1] = from_float<U>(b);
}

/// What the sums of rows `row` (even) and row + 1 are added to: zeros without add_to_out. A kernel may read it long
/// before it has the sums.
__device__ __forceinline__ float2 load_before(const Epilogue& e, int64_t token, int row) {
  if (!e.add_to_out || row >= e.n) return {};
  const float* place = static_cast<const float*>(e.out) + token * e.out_stride + row;
  if (e.pairs && row + 1 < e.n) return __ldcg(reinterpret_cast<const float2*>(place));
  return {__ldcg(place), row + 1 < e.n ? __ldcg(place + 1) : 0.0f};
}

/// The sums of rows `row` (even) and row + 1 of the weight, for one token. Rows from n on are dropped.
template <typename T>
__device__ __forceinline__ void store_pair(const Epilogue& e, int64_t token, int row, float a, float b, float2 before) {
  if (row >= e.n) return;
  const bool two = row + 1 < e.n;
  if (e.bias != nullptr) {
    a += e.bias[row];
    if (two) b += e.bias[row + 1];
  }
  int64_t at = token * e.out_stride + row;
  bool store_two = two;
  if (e.back != LinearBack::kNone) {
    a = activate(e.back, a) * b;
    at = token * e.out_stride + row / 2, store_two = false;
  }
  a += before.x, b += before.y;
  if (e.out_float) {
    store_values(static_cast<float*>(e.out) + at, a, b, store_two, e.pairs);
  } else {
    store_values(static_cast<T*>(e.out) + at, a, b, store_two, e.pairs);
  }
}
template <typename T>
__device__ __forceinline__ void store_pair(const Epilogue& e, int64_t token, int row, float a, float b) {
  store_pair<T>(e, token, row, a, b, load_before(e, token, row));
}

}  // namespace vllm::linear_cuda_impl
