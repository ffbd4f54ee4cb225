#pragma once
// out[t, i] = x[t, i] / sqrt(mean_i(x[t, i]^2) + eps) * weight[i]      Zhang & Sennrich 2019, arXiv:1910.07467
//
// With `residual`, x is added to it first, the sum is written back and normalized (fused residual add). Everything is
// float32. A row's result depends on that row alone, bit for bit: the order of the sum follows from the width and the
// ISA.
#include <span>

#include "base/result.h"
#include "tensor/cpu_info.h"
#include "tensor/tensor_view.h"
#include "tensor/thread_pool.h"

namespace vllm {

struct RmsNormParams {
  TensorView<float, 2> out;       // [num_tokens, hidden], may be x itself
  TensorView<const float, 2> x;   // [num_tokens, hidden], row stride free
  TensorView<float, 2> residual;  // [num_tokens, hidden] or empty
  std::span<const float> weight;  // [hidden]; Gemma's (1 + w) is added when the weight is loaded
  float eps = 1e-6f;              // added to the mean square; >= 0
};

Status check(const RmsNormParams& p);
/// The definition: plain loops, double accumulators.
void rms_norm_ref(const RmsNormParams& p);
void rms_norm_cpu(const RmsNormParams& p, ThreadPool& pool, CpuIsa isa = cpu_isa());

}  // namespace vllm
