#pragma once
// x[t, i] += scale * y[t, i]     a block's output onto the residual stream, where no other op can add it on the way
#include "base/result.h"
#include "tensor/cpu_info.h"
#include "tensor/tensor_view.h"
#include "tensor/thread_pool.h"

namespace vllm {

struct ResidualAddParams {
  TensorView<float, 2> x;        // [num_tokens, hidden], row stride free
  TensorView<const float, 2> y;  // [num_tokens, hidden], row stride free
  float scale = 1;
};

Status check(const ResidualAddParams& p);
/// The definition: plain loops in double.
void residual_add_ref(const ResidualAddParams& p);
void residual_add_cpu(const ResidualAddParams& p, ThreadPool& pool, CpuIsa isa = cpu_isa());

}  // namespace vllm
