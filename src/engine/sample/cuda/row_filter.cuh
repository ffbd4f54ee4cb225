#pragma once
// Which tokens of a row stay after min-p, top-k and top-p, found without a sort: a histogram over bins in falling order
// of logits, then four narrower ones inside the bin where the count (top-k) or the mass (top-p) is reached. After the
// first, the few tokens that are still in play go on a list. All sums are integers, so their order does not matter.
#include "engine/sample/cuda/row_cluster.cuh"

namespace vllm::engine {

/// Orders finite floats from large to small; both zeros are one.
__device__ __forceinline__ uint32_t falling_key(float v) {
  uint32_t bits = v == 0 ? 0u : static_cast<uint32_t>(__float_as_int(v));
  return bits & 0x80000000u ? bits : ~(bits | 0x80000000u);
}

/// The row after temperature, and what is cut from it.
struct Scaled {
  float inverse;                // of the temperature
  float largest;                // finite
  float lowest;                 // min-p's bound; minus infinity: none
  uint32_t last_key = ~0u;      // the largest falling_key that stays ...
  int32_t last_id = INT32_MAX;  // ... and of the tokens that have it, the last that stays

  __device__ float at(float logit) const { return __fmul_rn(logit, inverse); }
  bool listed = false;  // shared.list has all of this part's tokens that can stay

  __device__ bool stays(float scaled, int32_t id) const {
    uint32_t key = falling_key(scaled);
    return key < last_key || (key == last_key && id <= last_id);
  }
  __device__ bool candidate(float scaled) const { return scaled >= lowest && scaled > minus_infinity(); }
};

/// e^d in units of 2^-44, d <= 0: 400,000 of them fit into 64 bits, and each is right to 3e-14.
__device__ __forceinline__ unsigned long long weight_of(float d) {
  return d < -32 ? 0 : __double2ull_rn(exp(static_cast<double>(d)) * 0x1p44);
}

/// Eighths of a unit below the largest. Falls as the logit rises, so whole bins come before others in falling order.
__device__ __forceinline__ int coarse_bin(float below) { return static_cast<int>(fminf(below * 8, kBins - 1)); }

// Find in `totals` the first bin at which `reached(above + the bins up to it, total)`, where the total is of this
// histogram; sets chosen_bin (-1: none), chosen_above (what is above that bin) and total. Warp 0 only.
template <typename Reached>
__device__ void choose_bin(RowShared& shared, unsigned long long above, Reached reached) {
  constexpr int kPerLane = kBins / 32;
  const int lane = static_cast<int>(threadIdx.x);
  unsigned long long mine = 0;
  for (int i = 0; i < kPerLane; ++i) mine += shared.totals[lane * kPerLane + i];
  unsigned long long upto = mine;
  for (int offset = 1; offset < 32; offset *= 2) {
    unsigned long long left = __shfl_up_sync(kAllLanes, upto, static_cast<unsigned>(offset));
    if (lane >= offset) upto += left;
  }
  const unsigned long long total = __shfl_sync(kAllLanes, upto, 31);
  if (lane == 0) shared.total = total;
  unsigned long long sum = above + upto - mine, before = 0;
  int bin = -1;
  for (int i = 0; i < kPerLane && bin < 0; ++i) {
    unsigned long long here = shared.totals[lane * kPerLane + i];
    if (here > 0 && reached(sum + here, total)) bin = lane * kPerLane + i, before = sum;
    sum += here;
  }
  unsigned found = __ballot_sync(kAllLanes, bin >= 0);
  if (found == 0) {
    if (lane == 0) shared.chosen_bin = -1;
  } else if (lane == __ffs(static_cast<int>(found)) - 1) {
    shared.chosen_bin = bin, shared.chosen_above = before;
  }
}

// Call fn(scaled, id) for this thread's share of the candidates.
template <typename Fn>
__device__ __forceinline__ void for_candidates(const RowPart& part, const Scaled& row, Fn fn) {
  if (row.listed) {
    for (int i = threadIdx.x; i < part.shared.list_size; i += kThreads) {
      fn(part.shared.list[i].value, part.shared.list[i].id);
    }
    return;
  }
  for (int i = threadIdx.x; i < part.size; i += kThreads) {
    float scaled = row.at(part.x[i]);
    if (row.candidate(scaled)) fn(scaled, part.begin + i);
  }
}

// List this part's candidates down to a coarse bin, if they fit.
__device__ inline void make_list(const RowPart& part, Scaled& row, int last_bin) {
  RowShared& shared = part.shared;
  if (row.listed) return;
  if (threadIdx.x == 0) shared.list_size = 0;
  __syncthreads();
  for_candidates(part, row, [&](float scaled, int32_t id) {
    if (coarse_bin(row.largest - scaled) > last_bin || !row.stays(scaled, id)) return;
    int at = atomicAdd(&shared.list_size, 1);
    if (at < kListCapacity) shared.list[at] = {scaled, id};
  });
  __syncthreads();
  row.listed = shared.list_size <= kListCapacity;
}

// The histogram of one round over all blocks, into `totals`. kWeighted: the mass of the tokens, else their number.
// bin_of(scaled, key) is the bin, or -1. `turn` picks the histogram: the other one may still be read.
template <bool kWeighted, typename BinOf>
__device__ void histogram(const RowPart& part, const Scaled& row, int turn, BinOf bin_of) {
  unsigned long long* bins = part.shared.histogram[turn & 1];
  if (threadIdx.x < kBins) bins[threadIdx.x] = 0;
  __syncthreads();
  int run_bin = 0;
  unsigned long long run = 0;  // equal neighbours are added once: a row of equal logits would queue up otherwise
  for_candidates(part, row, [&](float scaled, int32_t) {
    uint32_t key = falling_key(scaled);
    if (key > row.last_key) return;
    int bin = bin_of(scaled, key);
    if (bin < 0) return;
    if (bin != run_bin) {
      if (run > 0) atomicAdd(&bins[run_bin], run);
      run_bin = bin, run = 0;
    }
    run += kWeighted ? weight_of(scaled - row.largest) : 1;
  });
  if (run > 0) atomicAdd(&bins[run_bin], run);
  part.cluster_sync();
  if (threadIdx.x < kBins) {
    unsigned long long sum = 0;
    for (int r = 0; r < kRowBlocks; ++r) sum += part.of_block(bins[threadIdx.x], r);
    part.shared.totals[threadIdx.x] = sum;
  }
  __syncthreads();
}

// The id of the `nth` token (1-based, by id) that has this key.
__device__ inline int32_t nth_tie(const RowPart& part, const Scaled& row, uint32_t key, unsigned long long nth) {
  auto ties = [&](int i) {
    if (i >= part.size) return false;
    float scaled = row.at(part.x[i]);
    return row.candidate(scaled) && falling_key(scaled) == key;
  };
  int mine = 0;
  for (int i = threadIdx.x; i < part.size; i += kThreads) mine += ties(i);
  mine = block_reduce(mine, part.shared.warp_count, [](int a, int b) { return a + b; });
  if (threadIdx.x == 0) part.shared.num_ties = mine;
  part.cluster_sync();
  auto left = static_cast<long long>(nth);
  int owner = 0;
  for (; owner < kRowBlocks - 1; ++owner) {
    int there = part.of_block(part.shared.num_ties, owner);
    if (left <= there) break;
    left -= there;
  }
  if (owner == part.rank() && threadIdx.x < 32) {
    for (int i = static_cast<int>(threadIdx.x); left > 0 && i - static_cast<int>(threadIdx.x) < part.size; i += 32) {
      unsigned found = __ballot_sync(kAllLanes, ties(i));
      int before = __popc(found & ((1u << threadIdx.x) - 1));
      if ((found >> threadIdx.x & 1u) && before + 1 == left) part.shared.tie_id = part.begin + i;
      left -= __popc(found);
    }
  }
  part.cluster_sync();
  return part.of_block(part.shared.tie_id, owner);
}

// Cut the row where the count of candidates reaches top_k (kWeighted false; all that tie with the last stay) or their
// mass top_p (ties by id). `turn` runs through both.
template <bool kWeighted>
__device__ void cut_row(const RowPart& part, Scaled& row, int& turn) {
  RowShared& shared = part.shared;
  const double top_p = part.params.top_p;
  const auto top_k = static_cast<unsigned long long>(part.params.top_k);
  auto reached = [&](unsigned long long sum, unsigned long long total) {
    return kWeighted ? !(static_cast<double>(sum) < top_p * static_cast<double>(total)) : sum >= top_k;
  };

  histogram<kWeighted>(part, row, turn++, [&](float scaled, uint32_t) { return coarse_bin(row.largest - scaled); });
  if (threadIdx.x < 32) choose_bin(shared, 0, reached);
  __syncthreads();
  const unsigned long long total = shared.total;  // of the candidates
  if (!kWeighted && total <= top_k) return;
  const int coarse = shared.chosen_bin;
  unsigned long long above = shared.chosen_above, here = 0;
  if (coarse < 0) return;
  make_list(part, row, coarse);

  uint32_t key = 0;
  for (int shift = 24; shift >= 0; shift -= 8) {
    uint32_t known = shift == 24 ? 0u : ~0u << (shift + 8);  // bits of the key that are found already
    histogram<kWeighted>(part, row, turn++, [&](float scaled, uint32_t k) {
      bool inside = coarse_bin(row.largest - scaled) == coarse && ((k ^ key) & known) == 0;
      return inside ? static_cast<int>(k >> shift & 255u) : -1;
    });
    if (threadIdx.x < 32) choose_bin(shared, above, [&](auto sum, auto) { return reached(sum, total); });
    __syncthreads();
    if (shared.chosen_bin < 0) return;
    key |= static_cast<uint32_t>(shared.chosen_bin) << shift;
    above = shared.chosen_above, here = shared.totals[shared.chosen_bin];
  }
  row.last_key = key;
  if (!kWeighted) return;

  uint32_t bits = key & 0x80000000u ? key : ~key & 0x7fffffffu;  // the float of this key
  unsigned long long each = weight_of(__int_as_float(static_cast<int>(bits)) - row.largest);
  if (each == 0) return;
  unsigned long long low = 1, high = here / each;  // how many of the ties stay
  while (low < high) {
    unsigned long long middle = (low + high) / 2;
    if (reached(above + middle * each, total)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  if (low < here / each) row.last_id = nth_tie(part, row, key, low);
}

}  // namespace vllm::engine
