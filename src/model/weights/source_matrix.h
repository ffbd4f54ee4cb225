#pragma once
// A weight matrix as it lies in a checkpoint: alone, or as rows of a tensor that holds several, in HF's order of rotary
// dimensions or the interleaved one.
#include "hub/checkpoint.h"
#include "model/weights/convert.h"

namespace vllm::model {

/// Which rows of the tensor are the matrix: runs of `run` rows, a run every `stride` rows, the first at `first`.
struct RowOrder {
  int64_t first = 0, run = 0, stride = 0;
  int64_t interleaved_head_dim = 0;  // rows of heads in the interleaved rotary order; 0 = in order
};

struct SourceMatrix {
  const CheckpointTensor* tensor = nullptr;
  int64_t n = 0, k = 0;
  RowOrder order;
  bool transposed = false;  // the tensor is [k, rows]

  /// Row of the tensor that row r of the matrix is.
  int64_t row(int64_t r) const { return tensor_row(order, r); }
  const std::byte* row_data(int64_t r) const {
    return tensor->data.data() + static_cast<size_t>(row(r)) * row_bytes(tensor->dtype, k);
  }
  /// True if the matrix is one piece of the tensor: then it may be used where it lies.
  bool in_place() const { return !transposed && order.run >= n && order.interleaved_head_dim == 0; }
  /// Bytes of the checkpoint that it takes.
  size_t bytes() const { return static_cast<size_t>(n) * row_bytes(tensor->dtype, k); }

  static int64_t tensor_row(const RowOrder& o, int64_t r) {
    if (o.interleaved_head_dim > 0) r = interleaved_row(r, o.interleaved_head_dim);
    return o.first + r / o.run * o.stride + r % o.run;
  }
};

/// Convert a matrix to [n, k] of `to` at `out`, its rows in order.
void convert_matrix(const SourceMatrix& m, std::byte* out, DType to, ThreadPool& pool);

}  // namespace vllm::model
