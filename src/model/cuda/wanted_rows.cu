#include "model/cuda/wanted_rows.h"

#include "tensor/cuda/launch.cuh"

namespace vllm::model {
namespace {

constexpr int kThreads = 256;

struct Matrix {
  uint32_t* out;
  const uint32_t* in;
  int64_t words;  // of a row
};

// grid: rows, matrices.
__global__ void __launch_bounds__(kThreads)
    wanted_rows(Matrix x, Matrix attention, const int32_t* rows, int32_t* place) {
  pdl_launch();
  pdl_wait();
  const int row = static_cast<int>(blockIdx.x), thread = static_cast<int>(threadIdx.x);
  const Matrix m = blockIdx.y == 0 ? x : attention;
  const int64_t from = rows[row];
  for (int64_t i = thread; i < m.words; i += kThreads)
    m.out[row * m.words + i] = from < 0 ? 0 : m.in[from * m.words + i];
  if (blockIdx.y == 0 && thread == 0) place[row] = from < 0 ? -1 : row;
}

Result<Matrix> matrix(void* out, const void* in, int64_t bytes, bool contiguous) {
  if (!contiguous || bytes % 4 != 0) return invalid_argument("wanted_rows: rows of {} bytes", bytes);
  return Matrix{static_cast<uint32_t*>(out), static_cast<const uint32_t*>(in), bytes / 4};
}

}  // namespace

Status wanted_rows_cuda(const WantedRowsParams& p, StreamRef stream) {
  const int64_t count = p.x_out.size(0);
  if (count == 0) return {};
  if (p.attention_out.size(0) != count || p.x_out.size(1) != p.x.size(1) ||
      p.attention_out.size(1) != p.attention.size(1) || p.attention_out.dtype != p.attention.dtype) {
    return invalid_argument("wanted_rows: x [{}, {}] and attention [{}, {}]", count, p.x_out.size(1),
                            p.attention_out.size(0), p.attention_out.size(1));
  }
  const int64_t hidden = p.x.size(1), width = p.attention.size(1);
  ASSIGN_OR_RETURN(Matrix x,
                   matrix(p.x_out.data, p.x.data, hidden * 4, p.x.stride[0] == hidden && p.x_out.stride[0] == hidden));
  ASSIGN_OR_RETURN(Matrix attention, matrix(p.attention_out.data, p.attention.data, row_bytes(p.attention.dtype, width),
                                            p.attention.stride[0] == width && p.attention_out.stride[0] == width));
  return launch(wanted_rows, {dim3(static_cast<unsigned>(count), 2), dim3(kThreads)}, stream, x, attention, p.rows,
                p.place);
}

}  // namespace vllm::model
