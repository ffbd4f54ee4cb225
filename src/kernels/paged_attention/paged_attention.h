#pragma once
// Causal attention of this step's queries over the paged KV cache, for prefill chunks and decodes in one call.
//
//   s[t, h, j] = softcap(scale * q[t, h] . k[j, h / (num_heads / num_kv_heads)])
//   out[t, h]  = sum_j softmax_j(s[t, h, :])[j] * v[j]             j in (position(t) - sliding_window, position(t)]
//
// Contract on the CPU: the result for a token depends on its query and on the keys and values it sees, bit for bit; not
// on the batch, the chunking of the prefill, page numbers, block_size or the number of threads. Keys are taken in tiles
// of 64 aligned to absolute positions; an online softmax (Milakov & Gimelshein 2018, arXiv:1805.02867) runs over the
// tiles of a span of 512 positions in order, and the spans' results are merged in order, so several threads can share
// one query's keys. Inside a tile every query's sums run in the same order whichever queries are handled beside it.
// Keys outside a query's range are never read as numbers, so released (null) or unwritten blocks may hold anything.
#include <span>

#include "base/result.h"
#include "kernels/kv_layout/kv_layout.h"
#include "tensor/cpu_info.h"
#include "tensor/tensor_view.h"
#include "tensor/thread_pool.h"

namespace vllm {

struct PagedAttentionParams {
  TensorView<float, 3> out;                  // [num_tokens, num_heads, head_dim], last two dims contiguous
  TensorView<const float, 3> q;              // [num_tokens, num_heads, head_dim], last two dims contiguous
  KvLayerView kv;                            // this step's keys are written already
  TensorView<const int32_t, 2> block_table;  // [num_seqs, max_blocks] page of every block_size positions; 0 = released
  std::span<const int32_t> query_start;      // [num_seqs + 1] first token of each sequence
  std::span<const int32_t> seq_lens;         // [num_seqs] context length, this step's tokens included
  float scale = 1;
  float softcap = 0;           // s = softcap * tanh(s / softcap); 0 = none
  int64_t sliding_window = 0;  // keys a query sees, itself included; 0 = all
};

/// Scratch, owned by the caller: no allocation in a step.
size_t paged_attention_workspace_bytes(int64_t max_seqs, int64_t head_dim, int num_threads);

Status check(const PagedAttentionParams& p);
/// The definition: plain loops in double.
void paged_attention_ref(const PagedAttentionParams& p);
/// How queries and weights meet a bfloat16 or 8-bit cache: as float32, or rounded to bfloat16 by vectors (AVX512-BF16)
/// or tiles (AMX). The latter two want pages of 16 tokens or a multiple, and heads of 32 (tiles: 16) dimensions or a
/// multiple: otherwise, as for other caches, the arithmetic is float32. Each has bits of its own.
enum class AttentionProducts { kFloat32, kBFloat16, kTiles, kEmulatedTiles };
/// The best that this CPU has; emulated tiles where VLLM_CPU_ISA=amx asks for them.
AttentionProducts attention_products();
void paged_attention_cpu(const PagedAttentionParams& p, std::span<std::byte> workspace, ThreadPool& pool,
                         CpuIsa isa = cpu_isa(), AttentionProducts products = attention_products());

}  // namespace vllm
