#pragma once
// Rows of a weight from one plain type to another, on all threads.
#include "base/result.h"
#include "tensor/buffer.h"
#include "tensor/dtype.h"
#include "tensor/thread_pool.h"

namespace vllm::model {

inline bool is_plain_float(DType t) { return t == DType::kFloat32 || t == DType::kFloat16 || t == DType::kBFloat16; }

/// Copy [rows, columns] from `from` (any alignment; any type if `to` is the same, else float32, float16 or bfloat16) to
/// `out`, rounding to nearest even. Row r of the result is row source_row(r) of the input.
template <typename SourceRow>
void convert_rows(const std::byte* in, DType from, std::byte* out, DType to, int64_t rows, int64_t columns,
                  ThreadPool& pool, SourceRow source_row);

/// Row of a GGUF llama Q or K weight (rotary pairs interleaved) that HF's order has at `row`: head h, half s, dimension
/// i.
inline int64_t interleaved_row(int64_t row, int64_t head_dim) {
  int64_t head = row / head_dim, half = row % head_dim / (head_dim / 2), i = row % (head_dim / 2);
  return head * head_dim + 2 * i + half;
}

/// One row, element by element.
void convert_row(const std::byte* in, DType from, std::byte* out, DType to, int64_t columns);

template <typename SourceRow>
void convert_rows(const std::byte* in, DType from, std::byte* out, DType to, int64_t rows, int64_t columns,
                  ThreadPool& pool, SourceRow source_row) {
  size_t in_stride = row_bytes(from, columns), out_stride = row_bytes(to, columns);
  constexpr int64_t kRowsPerTile = 64;
  pool.parallel_for((rows + kRowsPerTile - 1) / kRowsPerTile, [&](int64_t tile, int) {
    int64_t end = std::min(rows, (tile + 1) * kRowsPerTile);
    for (int64_t r = tile * kRowsPerTile; r < end; ++r) {
      convert_row(in + static_cast<size_t>(source_row(r)) * in_stride, from, out + static_cast<size_t>(r) * out_stride,
                  to, columns);
    }
  });
}

}  // namespace vllm::model
