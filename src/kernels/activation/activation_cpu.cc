#include "kernels/activation/activation.h"
#include "kernels/activation/activation_impl.h"
#include "kernels/simd/row_tiling.h"
#include "kernels/simd/vec_generic.h"

namespace vllm {
namespace {

ActivationRows activation_rows_generic() {
  return {activation_row<VecGeneric, Silu>, activation_row<VecGeneric, GeluTanh>, activation_row<VecGeneric, Gelu>,
          activation_row<VecGeneric, Relu>};
}

ActivationRowFn pick(ActivationKind kind, CpuIsa isa) {
  const ActivationRows r = VLLM_BY_ISA(isa, activation_rows)();
  switch (kind) {
    case ActivationKind::kSilu: return r.silu;
    case ActivationKind::kGeluTanh: return r.gelu_tanh;
    case ActivationKind::kGelu: return r.gelu;
    case ActivationKind::kRelu: break;
  }
  return r.relu;
}

}  // namespace

Status check(const ActivationParams& p) {
  int64_t num_tokens = p.gate.size(0), width = p.gate.size(1);
  if (!p.up.empty() && (p.up.size(0) != num_tokens || p.up.size(1) != width)) {
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
  ActivationRowFn row = pick(p.kind, isa);
  RowTiling tiling = tile_rows(num_tokens, 4 * width);
  pool.parallel_for(tiling.num_tiles, [&](int64_t tile, int) {
    int64_t end = std::min(num_tokens, (tile + 1) * tiling.rows_per_tile);
    for (int64_t t = tile * tiling.rows_per_tile; t < end; ++t) {
      row({p.out.row(t), p.gate.row(t), p.up.empty() ? nullptr : p.up.row(t), width});
    }
  });
}

}  // namespace vllm
