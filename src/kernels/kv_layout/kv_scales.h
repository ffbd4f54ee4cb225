#pragma once
// The 8-bit integer KV cache of the CPU (`--kv-cache-dtype int8_per_token_head`): x = code * scale, with a float32
// scale for each token of each head, of K and of V: its largest |x| / 127. The scales of a layer lie behind its V area:
//
//   k_offset: K [num_kv_heads][head_dim][block_size]   v_offset: V [num_kv_heads][block_size][head_dim]
//             K scales [num_kv_heads][block_size]                V scales [num_kv_heads][block_size]
#include "kernels/kv_layout/kv_layout.h"

namespace vllm {

inline constexpr DType kKvInt8 = DType::kInt8;

/// Bytes of the K scales or of the V scales of one layer in one page; 0 for other types.
constexpr int64_t kv_scale_bytes(DType dtype, int64_t num_kv_heads, int64_t block_size) {
  return dtype == kKvInt8 ? num_kv_heads * block_size * static_cast<int64_t>(sizeof(float)) : 0;
}
/// Bytes of one layer in one page: both areas and their scales.
inline int64_t kv_layer_bytes(const KvLayerView& kv) {
  return 2 * (kv.area_bytes() + kv_scale_bytes(kv.dtype, kv.num_kv_heads, kv.block_size));
}

/// Scale of token 0 of a page's K; token i's is i further.
inline float* k_scales(const KvLayerView& kv, int64_t block, int64_t head) {
  std::byte* page = kv.base + block * kv.page_bytes + kv.v_offset + kv.area_bytes();
  return reinterpret_cast<float*>(page) + head * kv.block_size;
}
inline float* v_scales(const KvLayerView& kv, int64_t block, int64_t head) {
  return k_scales(kv, block, head) + int64_t{kv.num_kv_heads} * kv.block_size;
}

}  // namespace vllm
