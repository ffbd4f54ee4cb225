#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rms_norm/rms_norm_impl.h"
#include "kernels/simd/row_tiling.h"
#include "kernels/simd/vec_generic.h"

namespace vllm {
namespace {

void rms_norm_row_generic(const RmsNormRow& r) { rms_norm_row<VecGeneric>(r); }

auto pick(CpuIsa isa) { return VLLM_BY_ISA(isa, rms_norm_row); }

}  // namespace

Status check(const RmsNormParams& p) {
  int64_t num_tokens = p.x.size(0), hidden = p.x.size(1);
  if (hidden <= 0) return invalid_argument("rms_norm: x has no columns");
  if (p.out.size(0) != num_tokens || p.out.size(1) != hidden) {
    return invalid_argument("rms_norm: out is [{}, {}], expected [{}, {}]", p.out.size(0), p.out.size(1), num_tokens,
                            hidden);
  }
  if (!p.residual.empty() && (p.residual.size(0) != num_tokens || p.residual.size(1) != hidden)) {
    return invalid_argument("rms_norm: residual is [{}, {}], expected [{}, {}]", p.residual.size(0), p.residual.size(1),
                            num_tokens, hidden);
  }
  if (static_cast<int64_t>(p.weight.size()) != hidden) {
    return invalid_argument("rms_norm: weight has {} elements, expected {}", p.weight.size(), hidden);
  }
  if (!(p.eps >= 0)) return invalid_argument("rms_norm: eps is {}, expected a value >= 0", p.eps);
  return {};
}

void rms_norm_cpu(const RmsNormParams& p, ThreadPool& pool, CpuIsa isa) {
  CHECK(check(p).has_value());
  int64_t num_tokens = p.x.size(0), hidden = p.x.size(1);
  auto row = pick(isa);
  RowTiling tiling = tile_rows(num_tokens, 2 * hidden);
  pool.parallel_for(tiling.num_tiles, [&](int64_t tile, int) {
    int64_t end = std::min(num_tokens, (tile + 1) * tiling.rows_per_tile);
    for (int64_t t = tile * tiling.rows_per_tile; t < end; ++t) {
      row({p.out.row(t), p.x.row(t), p.residual.empty() ? nullptr : p.residual.row(t), p.weight.data(), hidden, p.eps});
    }
  });
}

}  // namespace vllm
