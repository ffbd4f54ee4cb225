#pragma once
// The rows of a step whose logits are wanted, taken out of the residual stream and the attention's output: behind the
// last layer's attention nothing else is needed of a prompt.
#include "base/result.h"
#include "tensor/cuda/stream_ref.h"
#include "tensor/tensor_view.h"

namespace vllm::model {

struct WantedRowsParams {
  TensorView<float, 2> x_out;           // [num_rows, hidden]
  TensorView<const float, 2> x;         // [num_tokens, hidden]
  TensorView<void, 2> attention_out;    // [num_rows, width] of T
  TensorView<const void, 2> attention;  // [num_tokens, width] of T
  const int32_t* rows = nullptr;        // [num_rows] token row of each; negative: a row of zeros
  int32_t* place = nullptr;             // [num_rows] gets i, or -1 where rows is negative
};
/// Rows are contiguous, of multiples of 4 bytes.
Status wanted_rows_cuda(const WantedRowsParams& p, StreamRef stream);

}  // namespace vllm::model
