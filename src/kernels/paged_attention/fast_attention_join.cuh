#pragma once
// Joining the parts of a split tile: the block that finishes last does it, so no second kernel is needed.
#include "tensor/cuda/types.cuh"

namespace vllm {

struct JoinTile {
  int chunks, group, kv_head, num_heads;
  int first_row = 0, num_rows = 0;  // packed rows (query, head of the group) of the tile
  int q_start = 0;                  // the sequence's first row of out
  int partial_row = 0;              // and of the parts
};

/// Count this block's part as done; the last of `chunks` blocks joins all parts of the tile into out and zeroes the
/// counter. kThreads threads of the block call it after their stores, `thread` of 0 .. kThreads - 1, and `sync` is
/// their barrier; `shared` has kThreads * 33 bytes to spare.
template <typename T, int kHeadDim, int kThreads, typename Sync>
__device__ void join_if_last(const JoinTile& t, int* counter, const T* partial_out, const float* partial_lse, T* out,
                             uint8_t* shared, int thread, Sync sync) {
  constexpr int kWidth = 8, kLanes = kHeadDim / kWidth, kSlots = kThreads / kLanes;
  int* last = reinterpret_cast<int*>(shared);
  sync();
  if (thread == 0) {
    __threadfence();  // the block's stores, which the barrier put before it, come before the count
    *last = atomicAdd(counter, 1) == t.chunks - 1 ? 1 : 0;
    if (*last) *counter = 0;
    __threadfence();
  }
  sync();
  const bool joins = *last != 0;
  sync();  // `shared` is used again below and by the next item
  if (!joins) return;

  // kLanes threads a row; where the tile has fewer rows than there is room for, several of them share a row's parts.
  const int slot = thread / kLanes, lane = thread % kLanes;
  const int rows = min(t.num_rows, kSlots), shares = kSlots / rows;
  const int share = slot / rows;
  float* sums = reinterpret_cast<float*>(shared);  // [kSlots][kHeadDim], then [kSlots] maxima and [kSlots] weights
  float *maxima = sums + kSlots * kHeadDim, *weights = maxima + kSlots;
  for (int base = 0; base < t.num_rows; base += rows) {
    const int row = base + slot % rows, packed = t.first_row + row;
    const bool live = share < shares && row < t.num_rows;
    const int query = packed / t.group, head = t.kv_head * t.group + packed % t.group;
    const int64_t part = int64_t{t.partial_row + query * t.chunks} * t.num_heads + head;
    float highest = -INFINITY, weight = 0, sum[kWidth] = {};
    if (live) {
      for (int c = share; c < t.chunks; c += shares) {
        highest = fmaxf(highest, __ldcg(partial_lse + part + int64_t{c} * t.num_heads));
      }
#pragma unroll 4
      for (int c = share; c < t.chunks; c += shares) {
        const int64_t index = part + int64_t{c} * t.num_heads;
        const float lse = __ldcg(partial_lse + index);
        const uint4 raw = __ldcg(reinterpret_cast<const uint4*>(partial_out + index * kHeadDim + lane * kWidth));
        const Vec<T, kWidth>& values = reinterpret_cast<const Vec<T, kWidth>&>(raw);
        const float w = lse == -INFINITY ? 0.f : exp2f(lse - highest);
        weight += w;
#pragma unroll
        for (int i = 0; i < kWidth; ++i) sum[i] = fmaf(w, to_float(values[i]), sum[i]);
      }
    }
    if (shares > 1) {
#pragma unroll
      for (int i = 0; i < kWidth; ++i) sums[slot * kHeadDim + lane * kWidth + i] = sum[i];
      if (lane == 0) maxima[slot] = highest, weights[slot] = weight;
      sync();
      if (live && share == 0) {
        float all = -INFINITY;
        for (int s = 0; s < shares; ++s) all = fmaxf(all, maxima[slot + s * rows]);
        weight = 0;
#pragma unroll
        for (int i = 0; i < kWidth; ++i) sum[i] = 0;
        for (int s = 0; s < shares; ++s) {
          const int other = slot + s * rows;
          const float w = maxima[other] == -INFINITY ? 0.f : exp2f(maxima[other] - all);
          weight = fmaf(w, weights[other], weight);
#pragma unroll
          for (int i = 0; i < kWidth; ++i) sum[i] = fmaf(w, sums[other * kHeadDim + lane * kWidth + i], sum[i]);
        }
      }
      sync();
    }
    if (live && share == 0) {
      Vec<T, kWidth> result;
#pragma unroll
      for (int i = 0; i < kWidth; ++i) result[i] = from_float<T>(sum[i] / weight);
      *reinterpret_cast<Vec<T, kWidth>*>(out + (int64_t{t.q_start + query} * t.num_heads + head) * kHeadDim +
                                         lane * kWidth) = result;
    }
  }
  sync();
}

}  // namespace vllm
