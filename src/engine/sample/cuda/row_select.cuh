#pragma once
// The short way through top-k and top-p: where few tokens can stay, every block of the cluster gathers them, sorts them
// and cuts the sorted run. Same answers as row_filter.cuh's, which takes the rows that this leaves: long or flat ones.
#include "engine/sample/cuda/row_filter.cuh"

namespace vllm::engine {

constexpr int kTopPWanted = 384;  // threads whose best tokens bound the search where top-k does not say how many

/// falling_key() back to its value.
__device__ __forceinline__ float value_of(uint32_t key) {
  return __int_as_float(static_cast<int>(key & 0x80000000u ? key : ~key & 0x7fffffffu));
}
__device__ __forceinline__ float value_of(uint64_t entry) { return value_of(static_cast<uint32_t>(entry >> 32)); }

// The coarse bin down to which at least `wanted` threads of the cluster have a candidate, or -1: so at least as many
// candidates lie there. With `weighted`, shared.total becomes the mass of the row's candidates.
__device__ inline int bound_bin(const RowPart& part, const Scaled& row, float mine, int wanted, bool weighted) {
  RowShared& shared = part.shared;
  uint32_t* counts = shared.counts;
  if (threadIdx.x < kBins) counts[threadIdx.x] = 0;
  unsigned long long mass = 0;
  if (weighted) {
    for_own(part, [&](float logit, int32_t) {
      const float scaled = row.at(logit);
      if (row.candidate(scaled)) mass += weight_of(scaled - row.largest);
    });
    for (int mask = 16; mask > 0; mask /= 2) mass += __shfl_xor_sync(kAllLanes, mass, mask);
    if (threadIdx.x % 32 == 0) shared.warp_mass[threadIdx.x / 32] = mass;
  }
  __syncthreads();
  if (row.candidate(mine)) atomicAdd(&counts[coarse_bin(row.largest - mine)], 1u);
  if (weighted && threadIdx.x == 0) {
    mass = 0;
    for (int i = 0; i < kWarps; ++i) mass += shared.warp_mass[i];
    shared.mass = mass;
  }
  part.cluster_sync();
  if (threadIdx.x < kBins) {
    uint32_t sum = 0;
    for (int r = 0; r < kRowBlocks; ++r) sum += part.of_block(counts[threadIdx.x], r);
    shared.all_counts[threadIdx.x] = sum;
  }
  if (weighted && threadIdx.x == kBins) {
    mass = 0;
    for (int r = 0; r < kRowBlocks; ++r) mass += part.of_block(shared.mass, r);
    shared.total = mass;
  }
  __syncthreads();
  if (threadIdx.x < 32) {
    constexpr int kPerLane = kBins / 32;
    const int lane = static_cast<int>(threadIdx.x);
    uint32_t upto = 0;
    for (int i = 0; i < kPerLane; ++i) upto += shared.all_counts[lane * kPerLane + i];
    const uint32_t own = upto;
    for (int offset = 1; offset < 32; offset *= 2) {
      const uint32_t left = __shfl_up_sync(kAllLanes, upto, static_cast<unsigned>(offset));
      if (lane >= offset) upto += left;
    }
    uint32_t sum = upto - own;
    int bin = kBins;
    for (int i = 0; i < kPerLane && bin == kBins; ++i) {
      sum += shared.all_counts[lane * kPerLane + i];
      if (sum >= static_cast<uint32_t>(wanted)) bin = lane * kPerLane + i;
    }
    bin = __reduce_min_sync(kAllLanes, bin);
    if (lane == 0) shared.chosen_bin = bin < kBins ? bin : -1;
  }
  __syncthreads();
  return shared.chosen_bin;
}

// All candidates down to `last_bin` into shared.selected, in no order; their number, or -1 if they are too many.
__device__ inline int gather(const RowPart& part, const Scaled& row, float mine, int last_bin) {
  RowShared& shared = part.shared;
  if (threadIdx.x == 0) shared.list_size = 0;
  __syncthreads();
  if (row.candidate(mine) && coarse_bin(row.largest - mine) <= last_bin) {
    for_own(part, [&](float logit, int32_t id) {
      const float scaled = row.at(logit);
      if (!row.candidate(scaled) || coarse_bin(row.largest - scaled) > last_bin) return;
      const int at = atomicAdd(&shared.list_size, 1);
      if (at < kListCapacity) shared.list[at] = {scaled, id};
    });
  }
  part.cluster_sync();
  int begin = 0;
  bool fits = true;
  for (int r = 0; r < kRowBlocks; ++r) {
    const int size = part.of_block(shared.list_size, r);
    fits = fits && size <= kListCapacity && begin + size <= kSelected;
    if (!fits) break;
    for (int i = threadIdx.x; i < size; i += kThreads) {
      const Best entry = part.of_block(shared.list[i], r);
      shared.selected[begin + i] = uint64_t{falling_key(entry.value)} << 32 | static_cast<uint32_t>(entry.id);
    }
    begin += size;
  }
  __syncthreads();
  return fits ? begin : -1;
}

// Sort shared.selected[0, count): values fall, ids of equal ones rise.
__device__ inline void sort_selected(RowShared& shared, int count) {
  int padded = 32;
  while (padded < count) padded *= 2;
  for (int i = count + static_cast<int>(threadIdx.x); i < padded; i += kThreads) shared.selected[i] = ~uint64_t{0};
  __syncthreads();
  for (int run = 2; run <= padded; run *= 2) {
    for (int distance = run / 2; distance > 0; distance /= 2) {
      for (int i = threadIdx.x; i < padded / 2; i += kThreads) {
        const int low = 2 * i - (i & (distance - 1)), high = low + distance;
        const uint64_t a = shared.selected[low], b = shared.selected[high];
        if ((a > b) == ((low & run) == 0)) shared.selected[low] = b, shared.selected[high] = a;
      }
      __syncthreads();
    }
  }
}

// How many of the sorted `count` stay by top-p, or -1 if that is not reached among them. `total`: the mass to reach
// top_p of; 0: that of these.
__device__ inline int reach_mass(const RowPart& part, const Scaled& row, int count, unsigned long long total) {
  constexpr int kEach = kSelected / kThreads;
  RowShared& shared = part.shared;
  const int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  unsigned long long upto[kEach], sum = 0;
#pragma unroll
  for (int j = 0; j < kEach; ++j) {
    const int i = static_cast<int>(threadIdx.x) * kEach + j;
    upto[j] = sum += i < count ? weight_of(value_of(shared.selected[i]) - row.largest) : 0;
  }
  unsigned long long through = sum;
  for (int offset = 1; offset < 32; offset *= 2) {
    const unsigned long long left = __shfl_up_sync(kAllLanes, through, static_cast<unsigned>(offset));
    if (lane >= offset) through += left;
  }
  if (lane == 31) shared.warp_mass[warp] = through;
  if (threadIdx.x == 0) shared.chosen_bin = kSelected;
  __syncthreads();
  unsigned long long before = through - sum, all = 0;
  for (int i = 0; i < kWarps; ++i) {
    if (i < warp) before += shared.warp_mass[i];
    all += shared.warp_mass[i];
  }
  const double target = static_cast<double>(part.params.top_p) * static_cast<double>(total > 0 ? total : all);
  for (int j = 0; j < kEach; ++j) {
    const int i = static_cast<int>(threadIdx.x) * kEach + j;
    if (i >= count || static_cast<double>(before + upto[j]) < target) continue;
    atomicMin(&shared.chosen_bin, i);
    break;
  }
  __syncthreads();
  const int found = shared.chosen_bin;
  return found < count ? found + 1 : -1;
}

/// Cut by top-k and top-p: the number of shared.selected that stay, in order, or -1 if row_filter.cuh has to do it.
/// `mine` is the best of this thread's tokens after temperature. All blocks of the cluster get the same.
__device__ inline int select_few(const RowPart& part, const Scaled& row, float mine) {
  RowShared& shared = part.shared;
  const int top_k = part.params.top_k;
  const bool by_mass = part.params.top_p < 1;
  if (top_k > kSelected) return -1;
  const bool weighted = top_k <= 0;  // then top-p's mass is that of all candidates
  const int bin = bound_bin(part, row, mine, weighted ? kTopPWanted : top_k, weighted);
  if (bin < 0) return -1;  // fewer such threads than that
  const unsigned long long total = weighted ? shared.total : 0;
  int count = gather(part, row, mine, bin);
  if (count < 0) return -1;
  sort_selected(shared, count);
  if (top_k > 0) {  // the k best and what ties with the last
    const auto last = static_cast<uint32_t>(shared.selected[top_k - 1] >> 32);
    int stay = 0;
    for (int i = threadIdx.x; i < count; i += kThreads) {
      stay += static_cast<uint32_t>(shared.selected[i] >> 32) <= last;
    }
    count = block_reduce(stay, shared.warp_count, [](int a, int b) { return a + b; });
  }
  return by_mass ? reach_mass(part, row, count, total) : count;
}

}  // namespace vllm::engine
