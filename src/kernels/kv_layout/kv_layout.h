#pragma once
// Where one layer's keys and values lie in the pool of KV pages: shared by kv_write and paged_attention.
//
// A page holds `block_size` tokens of every layer of its group. Inside it a layer has two areas:
//   K  [num_kv_heads][head_dim][block_size]   dimension by dimension, tokens contiguous: scores of neighbouring keys
//   are
//                                             computed side by side in vector lanes, without sums across lanes
//   V  [num_kv_heads][block_size][head_dim]   token by token: rows are added up, weighted
#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace vllm {

struct KvLayerView {
  std::byte* base = nullptr;  // page 0 of the pool (the null block: never read as a key, never written)
  int64_t num_blocks = 0;
  int64_t page_bytes = 0;  // from one page to the next
  int64_t k_offset = 0;    // bytes from the start of a page to this layer's K area
  int64_t v_offset = 0;    // and to its V area
  int block_size = 0;      // tokens of a page
  int num_kv_heads = 0;
  int head_dim = 0;
  DType dtype = DType::kBFloat16;  // float32, bfloat16 or float16

  int64_t element_bytes() const { return info(dtype).block_bytes; }
  /// Bytes of the K area or of the V area of one layer in one page.
  int64_t area_bytes() const { return int64_t{num_kv_heads} * head_dim * block_size * element_bytes(); }
  /// K of head `head`, dimension 0, token 0 of a page; dimension d is d * block_size elements further.
  std::byte* k_head(int64_t block, int64_t head) const {
    return base + block * page_bytes + k_offset + head * head_dim * block_size * element_bytes();
  }
  /// V of head `head`, token 0 of a page; token i is i * head_dim elements further.
  std::byte* v_head(int64_t block, int64_t head) const {
    return base + block * page_bytes + v_offset + head * head_dim * block_size * element_bytes();
  }
};

}  // namespace vllm
