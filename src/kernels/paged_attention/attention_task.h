#pragma once
// A task of paged_attention_cpu: some neighbouring queries of one sequence, all heads that share one KV head.
#include <cstddef>
#include <cstdint>

#include "kernels/kv_layout/kv_layout.h"

namespace vllm {

inline constexpr int64_t kAttentionTileKeys = 64;
inline constexpr int64_t kAttentionMaxRows = 64;  // rows (query x head) of a task, unless one query has more heads

/// Plain pointers only: this is what files compiled for one ISA see.
struct AttentionTask {
  float* out;  // first query's first head of the group
  const float* q;
  int64_t out_stride, q_stride;  // floats from one token to the next
  int64_t num_queries, group;    // rows = num_queries * group; head g of a query is g * head_dim further
  int64_t position;              // of the first query
  int64_t sliding_window;        // 0 = none
  float scale, softcap;
  const KvLayerView* kv;
  int64_t kv_head;
  const int32_t* block_table;  // of this sequence
  float* scratch;              // attention_scratch_floats(...) of this thread
};

inline int64_t padded_head_dim(int64_t head_dim) { return (head_dim + 15) / 16 * 16; }

void attend_generic(const AttentionTask& task);
void attend_avx2(const AttentionTask& task);
void attend_avx512(const AttentionTask& task);
void attend_neon(const AttentionTask& task);
void attend_avx512_bf16(const AttentionTask& task);  // differs for bfloat16 caches in pages of 16 or a multiple

}  // namespace vllm
