#pragma once
// Store this step's keys and values in the pages of the KV cache, rounded to its type (nearest even);
// codes and scales of an int8 cache: kernels/kv_layout/kv_scales.h.
//
// Rows whose slot lies in page 0 (the null block) or is negative are padding: nothing is written for them.
#include <span>

#include "base/result.h"
#include "kernels/kv_layout/kv_layout.h"
#include "tensor/tensor_view.h"
#include "tensor/thread_pool.h"

namespace vllm {

struct KvWriteParams {
  TensorView<const float, 3> k;  // [num_tokens, num_kv_heads, head_dim], last two dims contiguous
  TensorView<const float, 3> v;  // [num_tokens, num_kv_heads, head_dim]
  KvLayerView kv;
  std::span<const int64_t> slot_mapping;  // [num_tokens] = page * block_size + offset; distinct but for padding
};

Status check(const KvWriteParams& p);
void kv_write_ref(const KvWriteParams& p);
/// Bound by scattered stores, so there is one path for all ISAs: the same as the reference, in tiles of tokens.
void kv_write_cpu(const KvWriteParams& p, ThreadPool& pool);

}  // namespace vllm
