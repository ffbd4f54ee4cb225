#pragma once
// out[t, i] = weight[token_ids[t], i] * scale on a GPU.
#include "base/result.h"
#include "tensor/cuda/stream_ref.h"
#include "tensor/tensor_view.h"

namespace vllm {

struct EmbeddingCudaParams {
  TensorView<float, 2> out;            // [num_tokens, hidden]
  const int32_t* token_ids = nullptr;  // [num_tokens] on the device; outside [0, vocab_size): the row is zeros
  TensorView<const void, 2> weight;    // [vocab_size, hidden]: any float type
  float scale = 1.0f;
};
Status embedding_cuda(const EmbeddingCudaParams& p, StreamRef stream);

}  // namespace vllm
