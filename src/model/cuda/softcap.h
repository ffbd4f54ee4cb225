#pragma once
// What follows the lm_head, in place: x = cap * tanh(scale * x / cap), Gemma's bound on logits; without a cap scale *
// x.
#include "base/result.h"
#include "tensor/cuda/stream_ref.h"
#include "tensor/tensor_view.h"

namespace vllm::model {

/// cap: 0 = none.
Status softcap_cuda(TensorView<float, 2> x, float scale, float cap, StreamRef stream);

}  // namespace vllm::model
