#include "kernels/residual_add/residual_add.h"
#include "kernels/residual_add/residual_add_impl.h"
#include "kernels/simd/row_tiling.h"
#include "kernels/simd/vec_generic.h"

namespace vllm {
namespace {

void residual_add_row_generic(float* x, const float* y, int64_t n, float scale) {
  residual_add_row<VecGeneric>(x, y, n, scale);
}

auto pick(CpuIsa isa) { return VLLM_BY_ISA(isa, residual_add_row); }

}  // namespace

Status check(const ResidualAddParams& p) {
  if (p.y.size(0) != p.x.size(0) || p.y.size(1) != p.x.size(1)) {
    return invalid_argument("residual_add: y is [{}, {}], expected [{}, {}]", p.y.size(0), p.y.size(1), p.x.size(0),
                            p.x.size(1));
  }
  return {};
}

void residual_add_cpu(const ResidualAddParams& p, ThreadPool& pool, CpuIsa isa) {
  CHECK(check(p).has_value());
  const int64_t num_tokens = p.x.size(0), hidden = p.x.size(1);
  auto row = pick(isa);
  RowTiling tiling = tile_rows(num_tokens, 2 * hidden);
  pool.parallel_for(tiling.num_tiles, [&](int64_t tile, int) {
    const int64_t end = std::min(num_tokens, (tile + 1) * tiling.rows_per_tile);
    for (int64_t t = tile * tiling.rows_per_tile; t < end; ++t) row(p.x.row(t), p.y.row(t), hidden, p.scale);
  });
}

}  // namespace vllm
