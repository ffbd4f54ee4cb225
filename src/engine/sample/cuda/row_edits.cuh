#pragma once
// What changes a row before temperature, in the order and with the roundings of SamplingState::adjust_logits: grammar,
// allowed ids, bad words, min_tokens, logit bias, penalties.
#include "engine/sample/cuda/row_cluster.cuh"

namespace vllm::engine {

// The masks whose lists say what to keep.
__device__ inline void keep_listed(const RowPart& part, const int32_t* lists, int mask_row) {
  if (mask_row >= 0) {
    const uint32_t* mask = part.args.masks + int64_t{mask_row} * ((part.args.vocab + 31) / 32);
    for (int i = threadIdx.x; i < part.size; i += kThreads) {
      int32_t id = part.begin + i;
      if (!(mask[id / 32] >> (id % 32) & 1u)) part.x[i] = minus_infinity();
    }
  }
  if (part.params.num_allowed > 0) {
    for (int i = threadIdx.x; i < (part.size + 31) / 32; i += kThreads) part.bits[i] = 0;
    __syncthreads();
    for (int i = threadIdx.x; i < part.params.num_allowed; i += kThreads) {
      int32_t at = lists[i] - part.begin;
      if (part.contains(lists[i])) atomicOr(&part.bits[at / 32], 1u << (at % 32));
    }
    __syncthreads();
    for (int i = threadIdx.x; i < part.size; i += kThreads) {
      if (!(part.bits[i / 32] >> (i % 32) & 1u)) part.x[i] = minus_infinity();
    }
  }
}

// The masks whose lists say what to drop: bad words that the output is one token short of; stop ids that come too soon.
__device__ inline void drop_listed(const RowPart& part, const int32_t* lists) {
  const SlotParams& p = part.params;
  const int32_t* tokens = part.args.history.tokens + part.slot * part.args.history.stride;
  const int32_t num_output = max(part.num_tokens - part.num_prompt, 0);
  for (int w = threadIdx.x; w < p.num_bad_words; w += kThreads) {
    int32_t first = lists[p.bad_offsets() + w], length = lists[p.bad_offsets() + w + 1] - first;
    if (length < 1 || length - 1 > num_output) continue;
    const int32_t* word = lists + p.bad_tokens() + first;
    const int32_t* tail = tokens + part.num_tokens - (length - 1);
    bool same = part.contains(word[length - 1]);
    for (int i = 0; same && i < length - 1; ++i) same = word[i] == tail[i];
    if (same) part.x[word[length - 1] - part.begin] = minus_infinity();
  }
  if (num_output < p.min_tokens) {
    for (int i = threadIdx.x; i < p.num_stop; i += kThreads) {
      int32_t token = lists[p.stop_begin() + i];
      if (part.contains(token)) part.x[token - part.begin] = minus_infinity();
    }
  }
}

// Bring this part of the slot's table up to the history: all of it the first time, then the newest token.
__device__ inline void count_tokens(const RowPart& part, uint32_t* table, int num_counted) {
  if (num_counted < 0) {
    for (int i = threadIdx.x; i < part.size; i += kThreads) table[part.begin + i] = 0;
    __syncthreads();
  }
  const int32_t* tokens = part.args.history.tokens + part.slot * part.args.history.stride;
  for (int i = max(num_counted, 0) + static_cast<int>(threadIdx.x); i < part.num_tokens; i += kThreads) {
    if (!part.contains(tokens[i])) continue;
    if (i < part.num_prompt) {
      atomicOr(&table[tokens[i]], 1u);
    } else {
      atomicAdd(&table[tokens[i]], 2u);
    }
  }
  __syncthreads();
}

__device__ inline void penalize(const RowPart& part, const uint32_t* table) {
  const SlotParams& p = part.params;
  for (int i = threadIdx.x; i < part.size; i += kThreads) {
    uint32_t seen = __ldcg(&table[part.begin + i]);
    if (seen == 0) continue;
    float logit = part.x[i];
    logit = logit > 0 ? __fdiv_rn(logit, p.repetition_penalty) : __fmul_rn(logit, p.repetition_penalty);
    uint32_t count = seen / 2;
    if (count > 0) {
      float penalty = __fadd_rn(__fmul_rn(p.frequency_penalty, static_cast<float>(count)), p.presence_penalty);
      logit = __fsub_rn(logit, penalty);
    }
    part.x[i] = logit;
  }
}

/// Returns whether anything may have changed. Ends with a barrier of the block if so.
__device__ inline bool edit_row(const RowPart& part, int mask_row) {
  const SlotParams& p = part.params;
  const int32_t* lists = part.args.lists + int64_t{part.slot} * kSlotListWords;
  if (p.num_words == 0 && p.penalty_table < 0 && mask_row < 0) return false;
  keep_listed(part, lists, mask_row);
  __syncthreads();
  drop_listed(part, lists);
  __syncthreads();
  for (int i = threadIdx.x; i < p.num_bias; i += kThreads) {
    int32_t token = lists[p.bias_begin() + i];
    if (!part.contains(token)) continue;
    float& logit = part.x[token - part.begin];  // an id is listed once
    logit = __fadd_rn(logit, __int_as_float(lists[p.bias_values() + i]));
  }
  if (p.penalty_table >= 0) {
    uint32_t* table = part.args.penalty_tables + int64_t{p.penalty_table} * part.args.vocab;
    count_tokens(part, table, part.args.num_counted[part.slot]);
    penalize(part, table);
  }
  __syncthreads();
  return true;
}

}  // namespace vllm::engine
