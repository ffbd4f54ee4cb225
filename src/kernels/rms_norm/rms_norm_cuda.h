#pragma once
// rms_norm.h on a GPU: float32 residual stream in, T or float32 out.
#include "base/result.h"
#include "tensor/cuda/stream_ref.h"
#include "tensor/tensor_view.h"

namespace vllm {

struct RmsNormCudaParams {
  TensorView<void, 2> out;      // [num_rows, hidden]: any float type; may be x itself if of the same type
  TensorView<const void, 2> x;  // [num_rows, hidden]: any float type; row stride free
  TensorView<float, 2>
      residual;  // [num_rows, hidden] or empty: x is added to it, the sum is written back and normalized
  const float* weight = nullptr;  // [hidden]
  float eps = 1e-6f;
  const int32_t* rows = nullptr;  // row of x (and residual) that gives out row i, or none: i. Negative: a row of zeros
};
Status rms_norm_cuda(const RmsNormCudaParams& p, StreamRef stream);

}  // namespace vllm
