#include "kernels/rope/rope.h"
#include "kernels/rope/rope_impl.h"
#include "kernels/simd/row_tiling.h"
#include "kernels/simd/vec_generic.h"

namespace vllm {
namespace {

void rope_token_generic(const RopeToken& r) { rope_token<VecGeneric>(r); }

auto pick(CpuIsa isa) { return VLLM_BY_ISA(isa, rope_token); }

}  // namespace

Status check(const RopeParams& p) {
  int64_t num_tokens = p.x.size(0), half = p.cos.size(1);
  if (half < 1 || 2 * half > p.x.size(2)) {
    return invalid_argument("rope: cos has {} columns, expected 1 to head_dim / 2 = {}", half, p.x.size(2) / 2);
  }
  if (p.cos.size(0) != num_tokens)
    return invalid_argument("rope: cos has {} rows, expected {}", p.cos.size(0), num_tokens);
  if (p.sin.size(0) != num_tokens || p.sin.size(1) != half) {
    return invalid_argument("rope: sin is [{}, {}], expected [{}, {}]", p.sin.size(0), p.sin.size(1), num_tokens, half);
  }
  return {};
}

void rope_cpu(const RopeParams& p, ThreadPool& pool, CpuIsa isa) {
  CHECK(check(p).has_value());
  int64_t num_tokens = p.x.size(0), num_heads = p.x.size(1);
  auto token = pick(isa);
  RowTiling tiling = tile_rows(num_tokens, 2 * num_heads * p.x.size(2));
  pool.parallel_for(tiling.num_tiles, [&](int64_t tile, int) {
    int64_t end = std::min(num_tokens, (tile + 1) * tiling.rows_per_tile);
    for (int64_t t = tile * tiling.rows_per_tile; t < end; ++t) {
      token({p.x.row(t), p.cos.row(t), p.sin.row(t), num_heads, p.x.stride[1], p.cos.size(1)});
    }
  });
}

}  // namespace vllm
