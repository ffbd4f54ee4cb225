#pragma once
// out[t, i] = act(gate[t, i]) * up[t, i]     the gated activations of feed-forward layers (Shazeer 2020,
// arXiv:2002.05202); without `up` the plain ones of older models, act(gate[t, i])
//
// silu(x) = x / (1 + e^-x); gelu_tanh(x) = x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))); gelu(x) = x/2 (1 + erf(x /
// sqrt 2)); relu(x) = max(x, 0).
#include "base/result.h"
#include "tensor/cpu_info.h"
#include "tensor/tensor_view.h"
#include "tensor/thread_pool.h"

namespace vllm {

enum class ActivationKind { kSilu, kGeluTanh, kGelu, kRelu };

struct ActivationParams {
  TensorView<float, 2> out;         // [num_tokens, width], may be gate or up
  TensorView<const float, 2> gate;  // [num_tokens, width], row stride free
  TensorView<const float, 2> up;    // [num_tokens, width], row stride free; or empty
  ActivationKind kind = ActivationKind::kSilu;
};

Status check(const ActivationParams& p);
/// The definition: plain loops in double.
void activation_ref(const ActivationParams& p);
void activation_cpu(const ActivationParams& p, ThreadPool& pool, CpuIsa isa = cpu_isa());

}  // namespace vllm
