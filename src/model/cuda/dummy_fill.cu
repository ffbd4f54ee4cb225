#include "model/cuda/dummy_fill.h"

#include "model/weights/dummy_numbers.h"
#include "tensor/cuda/launch.cuh"
#include "tensor/cuda/types.cuh"

namespace vllm::model {
namespace {

constexpr int kThreads = 128;

// One block a row.
template <typename T>
__global__ void __launch_bounds__(kThreads)
    dummy_rows(T* out, const int32_t* out_rows, int64_t k, uint64_t seed, double scale) {
  pdl_launch();
  pdl_wait();
  constexpr int kWidth = kVecWidth<T>;
  const int64_t row = blockIdx.x;
  T* to = out + (out_rows != nullptr ? int64_t{out_rows[row]} : row) * k;
  for (int64_t i = int64_t{threadIdx.x} * kWidth; i < k; i += kThreads * kWidth) {
    Vec<T, kWidth> values;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) values[j] = from_float<T>(dummy_number(seed, row, i + j, scale));
    *reinterpret_cast<Vec<T, kWidth>*>(to + i) = values;
  }
}

}  // namespace

Status dummy_fill_cuda(const DummyFillParams& p, StreamRef stream) {
  if (p.n < 1 || p.n > INT32_MAX || p.k < 8 || p.k % 8 != 0) {
    return invalid_argument("dummy weights: no kernel for [{}, {}]", p.n, p.k);
  }
  return dispatch_float(p.dtype, [&](auto tag) {
    using T = decltype(tag);
    return launch(dummy_rows<T>, {dim3(static_cast<unsigned>(p.n)), dim3(kThreads)}, stream, static_cast<T*>(p.out),
                  p.out_rows, p.k, p.seed, dummy_scale(p.k));
  });
}

}  // namespace vllm::model
