#pragma once
// A row of logits shared by a cluster of kRowBlocks thread blocks: each holds a run of token ids in shared memory, and
// they combine what they find through each other's shared memory. Everything is combined in a fixed order, so that a
// row's result does not depend on what else is in the batch.
#include <cooperative_groups.h>

#include <cstdint>

#include "engine/sample/cuda/sample_kernels.h"
#include "tensor/cuda/launch.cuh"

namespace vllm::engine {

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / 32;
constexpr int kBins = 256;
constexpr int kListCapacity = 768;
constexpr int kSelected = 1024;
constexpr unsigned kAllLanes = 0xffffffffu;

__device__ __forceinline__ float minus_infinity() { return __int_as_float(static_cast<int>(0xff800000u)); }

/// A token and what it is compared by. Larger values first, ties by id; NaN never gets in.
struct Best {
  float value;
  int32_t id;
};
__device__ __forceinline__ Best no_best() { return {minus_infinity(), INT32_MAX}; }
__device__ __forceinline__ Best better(Best a, Best b) {
  return a.value > b.value || (a.value == b.value && a.id < b.id) ? a : b;
}

/// What a block keeps in shared memory beside its part of the row. What other blocks read is written once per row, but
/// for the histograms, which take turns.
struct RowShared {
  unsigned long long histogram[2][kBins];  // read by the other blocks
  unsigned long long totals[kBins];        // of all blocks
  unsigned long long total, chosen_above;
  int chosen_bin;
  // Scratch of block_reduce.
  Best warp_best[kWarps];
  double warp_sum[kWarps];
  int warp_count[kWarps];
  Best all_top[kMaxDeviceLogprobs * kRowBlocks];
  // Candidates that row_filter.cuh found worth a list: after temperature, in no order.
  Best list[kListCapacity];
  int list_size;  // above kListCapacity: the list is not whole
  // Of row_select.cuh; counts and mass are read by the other blocks.
  uint64_t selected[kSelected];  // falling_key, then the id
  uint32_t counts[kBins], all_counts[kBins];
  unsigned long long mass, warp_mass[kWarps];
  // Read by the other blocks.
  Best argmax, winner;
  double raw_sum;
  float raw_max;
  int rank_count, num_ties, tie_id;
  Best top[kMaxDeviceLogprobs];
};

__device__ __forceinline__ int shuffle_xor(int v, int mask) { return __shfl_xor_sync(kAllLanes, v, mask); }
__device__ __forceinline__ float shuffle_xor(float v, int mask) { return __shfl_xor_sync(kAllLanes, v, mask); }
__device__ __forceinline__ double shuffle_xor(double v, int mask) { return __shfl_xor_sync(kAllLanes, v, mask); }
__device__ __forceinline__ Best shuffle_xor(Best v, int mask) {
  return {__shfl_xor_sync(kAllLanes, v.value, mask), __shfl_xor_sync(kAllLanes, v.id, mask)};
}

/// Combine one value per thread, in a fixed order; every thread gets the result. A barrier of the block.
template <typename T, typename Combine>
__device__ __forceinline__ T block_reduce(T value, T* scratch, Combine combine) {
  const int num_warps = static_cast<int>(blockDim.x) / 32;
  for (int mask = 16; mask > 0; mask /= 2) value = combine(value, shuffle_xor(value, mask));
  __syncthreads();  // the scratch's last readers are through
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
  __syncthreads();
  T result = scratch[0];
  for (int i = 1; i < num_warps; ++i) result = combine(result, scratch[i]);
  return result;
}

/// One block's part of a row, as every thread of it sees it.
struct RowPart {
  const SampleArgs& args;
  const SlotParams& params;
  RowShared& shared;
  float* x;          // shared memory: logits [size], then -inf up to a multiple of 4
  uint32_t* bits;    // shared memory: one bit a token
  const float* raw;  // device memory: the logits of this part as they came
  int32_t slot, row;
  int32_t begin, size;  // token ids [begin, begin + size); begin is a multiple of 4
  int32_t num_tokens, num_prompt;

  __device__ int rank() const { return static_cast<int>(blockIdx.x); }  // in the cluster, which is all of grid.x
  __device__ bool contains(int32_t token) const {
    return static_cast<uint32_t>(token - begin) < static_cast<uint32_t>(size);
  }
  /// Another block's copy of something in shared memory.
  template <typename T>
  __device__ const T& of_block(const T& mine, int rank) const {
    return *cooperative_groups::this_cluster().map_shared_rank(&mine, static_cast<unsigned>(rank));
  }
  __device__ void cluster_sync() const { cooperative_groups::this_cluster().sync(); }
};

/// Call fn(logit, id) for the tokens that are this thread's, in rising order.
template <typename Fn>
__device__ __forceinline__ void for_own(const RowPart& part, Fn fn) {
  for (int g = static_cast<int>(threadIdx.x); 4 * g < part.size; g += kThreads) {
    const float4 four = reinterpret_cast<const float4*>(part.x)[g];  // minus infinity behind the part's end
    const int32_t id = part.begin + 4 * g;
    fn(four.x, id), fn(four.y, id + 1), fn(four.z, id + 2), fn(four.w, id + 3);
  }
}

}  // namespace vllm::engine
