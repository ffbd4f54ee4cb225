#pragma once
// out[t, i] = (x[t, i] - m) / sqrt(v + eps) * weight[i] + bias[i]      Ba et al. 2016, arXiv:1607.06450
//
// m and v are the mean and the variance of the row, or of each run of `group` columns apart (norms of attention heads).
// Everything is float32; the variance is summed around the mean. A row's result depends on that row alone, bit for bit.
#include <span>

#include "base/result.h"
#include "tensor/cpu_info.h"
#include "tensor/tensor_view.h"
#include "tensor/thread_pool.h"

namespace vllm {

struct LayerNormParams {
  TensorView<float, 2> out;       // [num_tokens, hidden], may be x itself
  TensorView<const float, 2> x;   // [num_tokens, hidden], row stride free
  std::span<const float> weight;  // [hidden]
  std::span<const float> bias;    // [hidden] or empty
  int64_t group = 0;              // columns normalized together, a divisor of hidden; 0 = all
  float eps = 1e-5f;              // added to the variance; >= 0
};

Status check(const LayerNormParams& p);
/// The definition: plain loops, double accumulators.
void layer_norm_ref(const LayerNormParams& p);
void layer_norm_cpu(const LayerNormParams& p, ThreadPool& pool, CpuIsa isa = cpu_isa());

}  // namespace vllm
