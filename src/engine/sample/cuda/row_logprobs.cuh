#pragma once
// Log-softmax figures of a row as it came, before edits: what row_logprobs gives for the sampled token and the best.
#include "engine/sample/cuda/row_cluster.cuh"

namespace vllm::engine {

// This part's `count` best tokens into shared.top, in order. Each thread keeps its best one that is not taken yet and
// looks for its next only when that is taken. NaN counts as minus infinity.
__device__ inline void find_top(const RowPart& part, int count) {
  RowShared& shared = part.shared;
  auto best_after = [&](Best last) {  // of this thread's tokens, the best behind `last`
    Best best = no_best();
    for (int i = threadIdx.x; i < part.size; i += kThreads) {
      float logit = part.x[i];
      Best here{isnan(logit) ? minus_infinity() : logit, part.begin + i};
      if (better(last, here).id == last.id && here.id != last.id) best = better(best, here);
    }
    return best;
  };
  Best mine = best_after({-minus_infinity(), -1});
  for (int n = 0; n < count; ++n) {
    Best taken = block_reduce(mine, shared.warp_best, better);
    if (threadIdx.x == 0) shared.top[n] = taken;
    if (taken.id == mine.id && taken.id != INT32_MAX) mine = best_after(taken);
  }
}

/// What has to be read off a row before it is edited: its maximum and sum of exponentials, and its best tokens.
__device__ inline void read_raw(const RowPart& part) {
  RowShared& shared = part.shared;
  float largest = minus_infinity();
  for (int i = threadIdx.x; i < part.size; i += kThreads) largest = part.x[i] > largest ? part.x[i] : largest;
  largest = block_reduce(Best{largest, 0}, shared.warp_best, better).value;
  double sum = 0;
  for (int i = threadIdx.x; i < part.size; i += kThreads) {
    float logit = part.x[i];
    if (logit > minus_infinity()) sum += static_cast<double>(expf(logit - largest));
  }
  sum = block_reduce(sum, shared.warp_sum, [](double a, double b) { return a + b; });
  if (threadIdx.x == 0) shared.raw_max = largest, shared.raw_sum = sum;
  find_top(part, min(part.params.num_logprobs, part.args.vocab));
}

/// Count, rank and report; the cluster has passed a barrier since read_raw. All threads call it; block 0 writes.
/// A barrier of the cluster.
__device__ inline void write_logprobs(const RowPart& part, int32_t token, SampledRow& out) {
  RowShared& shared = part.shared;
  const float logit = part.raw[token - part.begin];  // any part's token
  int at_least = 0;
  for (int i = threadIdx.x; i < part.size; i += kThreads) at_least += part.raw[i] >= logit;
  at_least = block_reduce(at_least, shared.warp_count, [](int a, int b) { return a + b; });
  if (threadIdx.x == 0) shared.rank_count = at_least;
  part.cluster_sync();
  if (part.rank() != 0) return;

  float largest = minus_infinity();
  for (int r = 0; r < kRowBlocks; ++r) {
    float there = part.of_block(shared.raw_max, r);
    largest = there > largest ? there : largest;
  }
  double total = 0;
  int rank = 0;
  for (int r = 0; r < kRowBlocks; ++r) {
    float there = part.of_block(shared.raw_max, r);
    if (there > minus_infinity()) {
      total += part.of_block(shared.raw_sum, r) * exp(static_cast<double>(there - largest));
    }
    rank += part.of_block(shared.rank_count, r);
  }
  const double log_total = log(total) + static_cast<double>(largest);
  auto logprob = [&](float l) { return static_cast<float>(static_cast<double>(l) - log_total); };

  const int count = min(part.params.num_logprobs, part.args.vocab);
  if (threadIdx.x == 0) {
    out.logprob = logprob(logit), out.rank = max(rank, 1), out.num_top = count;
  }
  // Of the parts' best, a token's place is the number that are better.
  for (int i = threadIdx.x; i < count * kRowBlocks; i += kThreads) {
    shared.all_top[i] = part.of_block(shared.top[i % count], i / count);
  }
  __syncthreads();
  for (int i = threadIdx.x; i < count * kRowBlocks; i += kThreads) {
    const Best mine = shared.all_top[i];
    if (mine.id == INT32_MAX) continue;  // a part with fewer tokens
    int place = 0;
    for (int other = 0; other < count * kRowBlocks; ++other) {
      place += shared.all_top[other].id != mine.id && better(shared.all_top[other], mine).id != mine.id;
    }
    if (place < count) {
      part.args.top[int64_t{part.row} * kMaxDeviceLogprobs + place] = {mine.id, logprob(mine.value), place + 1};
    }
  }
}

}  // namespace vllm::engine
