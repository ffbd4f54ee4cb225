#include "kernels/layer_norm/layer_norm.h"
#include "kernels/layer_norm/layer_norm_impl.h"
#include "kernels/simd/row_tiling.h"
#include "kernels/simd/vec_generic.h"

namespace vllm {
namespace {

void layer_norm_run_generic(const LayerNormRun& r) { layer_norm_run<VecGeneric>(r); }

auto pick(CpuIsa isa) { return VLLM_BY_ISA(isa, layer_norm_run); }

}  // namespace

Status check(const LayerNormParams& p) {
  const int64_t num_tokens = p.x.size(0), hidden = p.x.size(1);
  if (hidden <= 0) return invalid_argument("layer_norm: x has no columns");
  if (p.out.size(0) != num_tokens || p.out.size(1) != hidden) {
    return invalid_argument("layer_norm: out is [{}, {}], expected [{}, {}]", p.out.size(0), p.out.size(1), num_tokens,
                            hidden);
  }
  if (static_cast<int64_t>(p.weight.size()) != hidden) {
    return invalid_argument("layer_norm: weight has {} elements, expected {}", p.weight.size(), hidden);
  }
  if (!p.bias.empty() && static_cast<int64_t>(p.bias.size()) != hidden) {
    return invalid_argument("layer_norm: bias has {} elements, expected {}", p.bias.size(), hidden);
  }
  if (p.group < 0 || (p.group > 0 && hidden % p.group != 0)) {
    return invalid_argument("layer_norm: groups of {} do not divide {} columns", p.group, hidden);
  }
  if (!(p.eps >= 0)) return invalid_argument("layer_norm: eps is {}, expected a value >= 0", p.eps);
  return {};
}

void layer_norm_cpu(const LayerNormParams& p, ThreadPool& pool, CpuIsa isa) {
  CHECK(check(p).has_value());
  const int64_t num_tokens = p.x.size(0), hidden = p.x.size(1), group = p.group > 0 ? p.group : hidden;
  auto run = pick(isa);
  RowTiling tiling = tile_rows(num_tokens, 3 * hidden);
  pool.parallel_for(tiling.num_tiles, [&](int64_t tile, int) {
    const int64_t end = std::min(num_tokens, (tile + 1) * tiling.rows_per_tile);
    for (int64_t t = tile * tiling.rows_per_tile; t < end; ++t) {
      for (int64_t i = 0; i < hidden; i += group) {
        run({p.out.row(t) + i, p.x.row(t) + i, p.weight.data() + i, p.bias.empty() ? nullptr : p.bias.data() + i, group,
             p.eps});
      }
    }
  });
}

}  // namespace vllm
