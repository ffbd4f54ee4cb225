#include "kernels/kv_layout/kv_dtypes.h"
#include "kernels/kv_write/kv_write.h"
#include "kernels/simd/row_tiling.h"

namespace vllm {

Status check(const KvWriteParams& p) {
  const KvLayerView& kv = p.kv;
  if (!is_cpu_kv_dtype(kv.dtype))
    return invalid_argument("kv_write: a KV cache of {} is not built", info(kv.dtype).name);
  auto num_tokens = static_cast<int64_t>(p.slot_mapping.size());
  for (const auto* x : {&p.k, &p.v}) {
    if (x->size(0) != num_tokens || x->size(1) != kv.num_kv_heads || x->size(2) != kv.head_dim) {
      return invalid_argument("kv_write: {} is [{}, {}, {}], expected [{}, {}, {}]", x == &p.k ? "k" : "v", x->size(0),
                              x->size(1), x->size(2), num_tokens, kv.num_kv_heads, kv.head_dim);
    }
  }
  for (int64_t slot : p.slot_mapping) {
    if (slot / kv.block_size >= kv.num_blocks)
      return invalid_argument("kv_write: slot {} lies beyond {} pages", slot, kv.num_blocks);
  }
  return {};
}

void kv_write_cpu(const KvWriteParams& p, ThreadPool& pool) {
  auto num_tokens = static_cast<int64_t>(p.slot_mapping.size());
  RowTiling tiling = tile_rows(num_tokens, int64_t{8} * p.kv.num_kv_heads * p.kv.head_dim);
  pool.parallel_for(tiling.num_tiles, [&](int64_t tile, int) {
    int64_t begin = tile * tiling.rows_per_tile, end = std::min(num_tokens, begin + tiling.rows_per_tile);
    auto slots = p.slot_mapping.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    kv_write_ref({p.k.slice(begin, end), p.v.slice(begin, end), p.kv, slots});
  });
}

}  // namespace vllm
