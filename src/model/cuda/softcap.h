#pragma once
// x = cap * tanh(x / cap), in place: Gemma's bound on logits.
#include "base/result.h"
#include "tensor/cuda/stream_ref.h"
#include "tensor/tensor_view.h"

namespace vllm::model {

Status softcap_cuda(TensorView<float, 2> x, float cap, StreamRef stream);

}  // namespace vllm::model
