#include <cmath>

#include "kernels/activation/activation.h"
#include "kernels/activation/activation_impl.h"
#include "kernels/simd/row_tiling.h"
#include "kernels/simd/vec_generic.h"

namespace vllm {
namespace {

void gelu_row(const ActivationRow& r) {
  for (int64_t i = 0; i < r.width; ++i) {
    float x = r.gate[i];
    r.out[i] = 0.5f * x * (1.0f + std::erf(x * 0.70710678f)) * r.up[i];
  }
}

using RowFn = void (*)(const ActivationRow&);
RowFn pick(ActivationKind kind, CpuIsa isa) {
  if (kind == ActivationKind::kGelu) return gelu_row;
  bool silu = kind == ActivationKind::kSilu;
  switch (isa) {
    case CpuIsa::kAvx512: return silu ? silu_row_avx512 : gelu_tanh_row_avx512;
    case CpuIsa::kAvx2: return silu ? silu_row_avx2 : gelu_tanh_row_avx2;
    case CpuIsa::kReference: break;
  }
  return silu ? activation_row<VecGeneric, Silu> : activation_row<VecGeneric, GeluTanh>;
}

}  // namespace

Status check(const ActivationParams& p) {
  int64_t num_tokens = p.gate.size(0), width = p.gate.size(1);
  if (p.up.size(0) != num_tokens || p.up.size(1) != width) {
    return invalid_argument("activation: up is [{}, {}], expected [{}, {}]", p.up.size(0), p.up.size(1), num_tokens,
                            width);
  }
  if (p.out.size(0) != num_tokens || p.out.size(1) != width) {
    return invalid_argument("activation: out is [{}, {}], expected [{}, {}]", p.out.size(0), p.out.size(1), num_tokens,
                            width);
  }
  return {};
}

void activation_cpu(const ActivationParams& p, ThreadPool& pool, CpuIsa isa) {
  CHECK(check(p).has_value());
  int64_t num_tokens = p.gate.size(0), width = p.gate.size(1);
  RowFn row = pick(p.kind, isa);
  RowTiling tiling = tile_rows(num_tokens, 4 * width);
  pool.parallel_for(tiling.num_tiles, [&](int64_t tile, int) {
    int64_t end = std::min(num_tokens, (tile + 1) * tiling.rows_per_tile);
    for (int64_t t = tile * tiling.rows_per_tile; t < end; ++t) row({p.out.row(t), p.gate.row(t), p.up.row(t), width});
  });
}

}  // namespace vllm
