#include "model/weights/source_matrix.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace vllm::model {
namespace {

constexpr int64_t kTile = 64;  // rows of the result, neighbouring columns of the tensor

// Rows [begin, end) of the result, element by element over the tensor's rows so that its columns are read in runs.
void transpose_tile(const SourceMatrix& m, int64_t begin, int64_t end, std::byte* out, DType to) {
  const DType from = m.tensor->dtype;
  const size_t size = row_bytes(from, 1);
  const auto columns = static_cast<size_t>(m.tensor->shape[1]), k = static_cast<size_t>(m.k);
  std::vector<std::byte> rows(static_cast<size_t>(end - begin) * k * size);
  for (size_t c = 0; c < k; ++c) {
    for (int64_t r = begin; r < end; ++r) {
      std::memcpy(&rows[(static_cast<size_t>(r - begin) * k + c) * size],
                  m.tensor->data.data() + (c * columns + static_cast<size_t>(m.row(r))) * size, size);
    }
  }
  for (int64_t r = begin; r < end; ++r) {
    convert_row(&rows[static_cast<size_t>(r - begin) * k * size], from,
                out + static_cast<size_t>(r) * row_bytes(to, m.k), to, m.k);
  }
}

}  // namespace

void convert_matrix(const SourceMatrix& m, std::byte* out, DType to, ThreadPool& pool) {
  if (m.transposed) {
    pool.parallel_for((m.n + kTile - 1) / kTile, [&](int64_t tile, int) {
      transpose_tile(m, tile * kTile, std::min(m.n, (tile + 1) * kTile), out, to);
    });
    return;
  }
  convert_rows(m.tensor->data.data(), m.tensor->dtype, out, to, m.n, m.k, pool, [&](int64_t r) { return m.row(r); });
}

}  // namespace vllm::model
