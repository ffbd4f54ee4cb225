#pragma once
// A task of paged_attention_cpu: some neighbouring queries of one sequence, all heads that share one KV head.
#include <cstddef>
#include <cstdint>

#include "kernels/kv_layout/kv_layout.h"

namespace vllm {

inline constexpr int64_t kAttentionTileKeys = 64;
// A softmax runs over the tiles of a span of this many keys; then the spans' states are merged in their order. Spans
// lie at absolute positions too, so whichever thread runs which of them, the sums are the same.
inline constexpr int64_t kAttentionSpanKeys = 8 * kAttentionTileKeys;
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
  float* scratch;              // of this thread
  // For spans on several threads. kSpan leaves the state of the keys in that span at `states`; kMerge makes `out` of
  // `num_states` of them, attention_state_floats(...) apart.
  enum class Part { kAll, kSpan, kMerge } part = Part::kAll;
  int64_t span = 0;  // number of the span, counted from position 0
  float* states = nullptr;
  int64_t num_states = 0;
};

inline int64_t padded_head_dim(int64_t head_dim) { return (head_dim + 15) / 16 * 16; }
/// Pairs of dimensions as a tile of bfloat16 takes them, 16 at a time.
inline int64_t padded_pairs(int64_t head_dim) { return (head_dim + 31) / 32 * 16; }
/// The highest score of each row, its sum of weights, its sums of weights times values; whole cache lines.
inline int64_t attention_state_floats(int64_t head_dim, int64_t rows) {
  return (rows * (2 + padded_head_dim(head_dim)) + 15) / 16 * 16;
}
/// The first key that a query at `position` sees.
inline int64_t first_attended_key(int64_t position, int64_t sliding_window) {
  const int64_t first = position - sliding_window + 1;
  return sliding_window > 0 && first > 0 ? first : 0;
}

void attend_generic(const AttentionTask& task);
void attend_avx2(const AttentionTask& task);
void attend_avx512(const AttentionTask& task);
void attend_neon(const AttentionTask& task);
void attend_avx512_bf16(const AttentionTask& task);  // differs for bfloat16 caches in pages of 16 or a multiple
void attend_amx(const AttentionTask& task);          // likewise
void attend_amx_emulated(const AttentionTask& task);

}  // namespace vllm
