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
__device__ __forceinline__ void store_values(U* out, float a, float b, bool two, bool pairs, bool add) {
  if (two && pairs) {
    auto* place = reinterpret_cast<Vec<U, 2>*>(out);
    if (add) {
      const Vec<U, 2> before = *place;
      a += to_float(before[0]), b += to_float(before[1]);
    }
    Vec<U, 2> both;
    both[0] = from_float<U>(a), both[1] = from_float<U>(b);
    *place = both;
    return;
  }
  out[0] = from_float<U>(add ? a + to_float(out[0]) : a);
  if (two) out[1] = from_float<U>(add ? b + to_float(out[1]) : b);
}

/// The sums of rows `row` (even) and row + 1 of the weight, for one token. Rows from n on are dropped.
template <typename T>
__device__ __forceinline__ void store_pair(const Epilogue& e, int64_t token, int row, float a, float b) {
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
  if (e.out_float) {
    store_values(static_cast<float*>(e.out) + at, a, b, store_two, e.pairs, e.add_to_out);
  } else {
    store_values(static_cast<T*>(e.out) + at, a, b, store_two, e.pairs, false);
  }
}

}  // namespace vllm::linear_cuda_impl
