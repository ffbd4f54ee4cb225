#pragma once
// Inside of paged_attention_cuda: what the host hands to a kernel of one layer.
#include <cstdint>

#include "base/result.h"
#include "kernels/paged_attention/paged_attention_cuda.h"

namespace vllm {

/// A batch and a layer, as pointers and strides. Strides count elements.
struct AttentionKernelArgs {
  void* out;
  const void* q;
  const std::byte *k, *v;  // the layer's areas in page 0
  int64_t q_stride, out_stride, page_stride, table_stride;
  const int32_t *query_start, *seq_lens, *block_table;
  int num_seqs, num_tokens, num_heads, num_kv_heads, head_dim, block_size;
  float scale, softcap;
  int64_t sliding_window;
};

/// The plain kernel: any float types, head_dim a multiple of 8 up to 256. It needs no plan.
Status plain_attention_cuda(const AttentionKernelArgs& a, DType dtype, DType kv_dtype, StreamRef stream);

}  // namespace vllm
