#pragma once
// What a GPU knows of its sequences, as one array of int32 words, and how a step's batch is made from it. Plain
// functions over plain memory: kernels run them on the device (slot_kernels.cu), tests on the host.
#include <cstdint>

#if defined(__CUDACC__)
#define VLLM_HOST_DEVICE __host__ __device__ inline
#else
#define VLLM_HOST_DEVICE inline
#endif

namespace vllm::engine {

/// One sequence's share of the step at hand, as the planner wrote it.
struct WorkRow {
  int32_t slot = 0;             // negative: padding between others
  int32_t num_tokens = 0;       // that run
  int32_t query_start = 0;      // its first token row
  int32_t first_logit = 0;      // its first row among the wanted logits
  int32_t num_prompt_rows = 0;  // its first tokens whose logits serve prompt_logprobs
  int32_t last_row = 0;         // kNoRow, kLogitsRow or kSampledRow: what its last token's logits are for
};
inline constexpr int32_t kNoRow = 0, kLogitsRow = 1, kSampledRow = 2;  // kSampledRow: the device samples it
inline constexpr int64_t kWorkRowWords = sizeof(WorkRow) / sizeof(int32_t);

struct WorkHeader {
  int32_t num_seqs = 0, num_tokens = 0, num_logits = 0;  // real; the batch may be padded
  int32_t unused = 0;
};
inline constexpr int64_t kWorkHeaderWords = sizeof(WorkHeader) / sizeof(int32_t);

/// Where things lie in the array, in words.
struct SlotLayout {
  int num_slots = 0, num_groups = 0, block_size = 0;
  int64_t stride = 0;      // of token histories
  int64_t max_blocks = 0;  // columns of a block table
  int64_t num_tokens = 0, num_computed = 0, num_prompt = 0, work = 0, tokens = 0, tables = 0, total = 0;

  static SlotLayout make(int num_slots, int num_groups, int64_t max_model_len, int block_size, int max_seqs) {
    SlotLayout l{.num_slots = num_slots, .num_groups = num_groups, .block_size = block_size};
    l.stride = (max_model_len + 1 + 31) / 32 * 32;
    l.max_blocks = (max_model_len + block_size - 1) / block_size;
    int64_t at = 0;
    auto take = [&at](int64_t words) {
      int64_t begin = at;
      at += (words + 31) / 32 * 32;
      return begin;
    };
    l.num_tokens = take(num_slots);
    l.num_computed = take(num_slots);
    l.num_prompt = take(num_slots);
    l.work = take(kWorkHeaderWords + max_seqs * kWorkRowWords);
    l.tokens = take(num_slots * l.stride);
    l.tables = take(int64_t{num_groups} * num_slots * l.max_blocks);
    l.total = at;
    return l;
  }
  VLLM_HOST_DEVICE int64_t token(int64_t slot, int64_t index) const { return tokens + slot * stride + index; }
  VLLM_HOST_DEVICE int64_t table(int64_t group, int64_t slot) const {
    return tables + (group * num_slots + slot) * max_blocks;
  }
};

/// A piece of a payload that goes to the array.
struct CopyRun {
  int64_t to = 0;     // word of the array
  int32_t from = 0;   // word of the payload
  int32_t count = 0;  // words
};
inline constexpr int32_t kMaxRunWords = 1024;

VLLM_HOST_DEVICE void copy_run(int32_t* words, const CopyRun& run, const int32_t* payload, int lane, int num_lanes) {
  for (int i = lane; i < run.count; i += num_lanes) words[run.to + i] = payload[run.from + i];
}

/// A step's batch in memory of the device: see model/cuda/cuda_batch.h.
struct BatchArrays {
  int32_t *token_ids = nullptr, *positions = nullptr;    // [max_tokens]
  int32_t *query_start = nullptr, *seq_lens = nullptr;   // [max_seqs + 1], [max_seqs]
  int32_t *logits_rows = nullptr, *row_slots = nullptr;  // [max_tokens]; slot that the device samples for, or -1
  int32_t* block_tables = nullptr;                       // [num_groups, max_seqs, max_blocks]
  int64_t* slot_mapping = nullptr;                       // [num_groups, max_tokens]
  int64_t max_tokens = 0, max_seqs = 0;
};
/// Padded sizes of the batch.
struct BatchShape {
  int num_seqs = 0, num_tokens = 0, num_logits = 0;
};

VLLM_HOST_DEVICE const WorkHeader& work_header(const int32_t* words, const SlotLayout& l) {
  return *reinterpret_cast<const WorkHeader*>(words + l.work);
}
VLLM_HOST_DEVICE const WorkRow& work_row(const int32_t* words, const SlotLayout& l, int64_t row) {
  return *reinterpret_cast<const WorkRow*>(words + l.work + kWorkHeaderWords + row * kWorkRowWords);
}

/// Write sequence `s` of the batch. Reads the array only; finish_sequence follows when all lanes are done.
VLLM_HOST_DEVICE void prepare_sequence(const int32_t* words, const SlotLayout& l, const BatchArrays& out, int s,
                                       int lane, int num_lanes) {
  const WorkHeader& header = work_header(words, l);
  if (s >= header.num_seqs) {  // padding: an empty query
    if (lane == 0) out.seq_lens[s] = 0, out.query_start[s + 1] = header.num_tokens;
    return;
  }
  const WorkRow& work = work_row(words, l, s);
  if (work.slot < 0) {
    if (lane == 0) out.seq_lens[s] = 0, out.query_start[s + 1] = work.query_start;
    return;
  }
  const int64_t begin = words[l.num_computed + work.slot], known = words[l.num_tokens + work.slot];
  const int64_t end = begin + work.num_tokens < known ? begin + work.num_tokens : known;
  if (lane == 0) {
    if (s == 0) out.query_start[0] = 0;
    out.query_start[s + 1] = work.query_start + work.num_tokens;
    out.seq_lens[s] = static_cast<int32_t>(end);
    if (work.last_row != kNoRow) {
      const int32_t row = work.first_logit + work.num_prompt_rows;
      out.logits_rows[row] = work.query_start + work.num_tokens - 1;
      out.row_slots[row] = work.last_row == kSampledRow ? work.slot : -1;
    }
  }
  for (int i = lane; i < work.num_prompt_rows; i += num_lanes) {
    out.logits_rows[work.first_logit + i] = work.query_start + i;
    out.row_slots[work.first_logit + i] = -1;
  }
  for (int i = lane; i < work.num_tokens; i += num_lanes) {
    const int64_t position = begin + i, row = work.query_start + i;
    const bool real = position < end;
    out.token_ids[row] = real ? words[l.token(work.slot, position)] : 0;
    out.positions[row] = real ? static_cast<int32_t>(position) : 0;
    for (int g = 0; g < l.num_groups; ++g) {
      const int64_t page = real ? words[l.table(g, work.slot) + position / l.block_size] : 0;
      out.slot_mapping[g * out.max_tokens + row] = real ? page * l.block_size + position % l.block_size : -1;
    }
  }
  const int64_t num_blocks = (end + l.block_size - 1) / l.block_size;
  for (int g = 0; g < l.num_groups; ++g) {
    const int32_t* from = words + l.table(g, work.slot);
    int32_t* to = out.block_tables + (g * out.max_seqs + s) * l.max_blocks;
    for (int64_t i = lane; i < num_blocks; i += num_lanes) to[i] = from[i];
  }
}

/// Token and logits rows behind the real ones; any one caller.
VLLM_HOST_DEVICE void prepare_padding(const int32_t* words, const SlotLayout& l, const BatchArrays& out,
                                      const BatchShape& shape, int lane, int num_lanes) {
  const WorkHeader& header = work_header(words, l);
  for (int i = header.num_tokens + lane; i < shape.num_tokens; i += num_lanes) {
    out.token_ids[i] = 0, out.positions[i] = 0;
    for (int g = 0; g < l.num_groups; ++g) out.slot_mapping[g * out.max_tokens + i] = -1;
  }
  for (int i = header.num_logits + lane; i < shape.num_logits; i += num_lanes) {
    out.logits_rows[i] = -1, out.row_slots[i] = -1;
  }
}

/// The sequence's tokens count as computed from here on. One lane, when no other reads num_computed any more.
VLLM_HOST_DEVICE void finish_sequence(int32_t* words, const SlotLayout& l, int s) {
  if (s >= work_header(words, l).num_seqs) return;
  const WorkRow& work = work_row(words, l, s);
  if (work.slot < 0) return;
  const int32_t end = words[l.num_computed + work.slot] + work.num_tokens, known = words[l.num_tokens + work.slot];
  words[l.num_computed + work.slot] = end < known ? end : known;
}

}  // namespace vllm::engine
