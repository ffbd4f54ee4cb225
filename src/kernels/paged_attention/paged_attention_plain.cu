// The simple kernel: the device's own reference, and the path for types and head sizes that the fast one does not have.
#include "kernels/kv_layout/kv_types.cuh"
#include "kernels/paged_attention/attention_kernels_cuda.h"
#include "tensor/cuda/launch.cuh"
#include "tensor/cuda/types.cuh"

namespace vllm {
namespace {

constexpr int kWarps = 4;
constexpr int kMaxHeadDim = 256;
constexpr int kDimsPerLane = kMaxHeadDim / 32;

/// The sequence that token t belongs to: the last one that starts at or before it; num_seqs behind the last query.
__device__ int sequence_of(const int32_t* query_start, int num_seqs, int t) {
  if (t >= query_start[num_seqs]) return num_seqs;
  int low = 0, high = num_seqs;  // query_start[low] <= t < query_start[high]
  while (high - low > 1) {
    int middle = (low + high) / 2;
    (query_start[middle] <= t ? low : high) = middle;
  }
  return low;
}

template <typename KvT>
__device__ float dot(const float* q, const KvT* k, int head_dim) {
  constexpr int kWidth = kVecWidth<KvT> < 8 ? kVecWidth<KvT> : 8;  // head_dim is a multiple of 8
  float sum = 0;
  for (int d = 0; d < head_dim; d += kWidth) {
    Vec<KvT, kWidth> v = *reinterpret_cast<const Vec<KvT, kWidth>*>(k + d);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) sum = fmaf(q[d + i], to_float(v[i]), sum);
  }
  return sum;
}

/// One block a (token, head). Each warp takes every kWarps-th tile of 32 keys: a lane a key for the scores, then a lane
/// every 32nd dimension for the sum of values. The warps' softmax states are joined at the end.
template <typename T, typename KvT>
__global__ void __launch_bounds__(kWarps * 32) plain_attention(AttentionKernelArgs a) {
  __shared__ float q[kMaxHeadDim];
  __shared__ float part[kWarps][kMaxHeadDim], part_max[kWarps], part_sum[kWarps];
  pdl_launch();
  pdl_wait();
  int token = static_cast<int>(blockIdx.x), head = static_cast<int>(blockIdx.y);
  int seq = sequence_of(a.query_start, a.num_seqs, token);
  if (seq == a.num_seqs) return;  // padding
  int position = a.seq_lens[seq] - (a.query_start[seq + 1] - token);
  if (position < 0) return;
  int first =
      a.sliding_window > 0 && position >= a.sliding_window ? position - static_cast<int>(a.sliding_window) + 1 : 0;
  const T* q_row = static_cast<const T*>(a.q) + token * a.q_stride + int64_t{head} * a.head_dim;
  for (int d = static_cast<int>(threadIdx.x); d < a.head_dim; d += kWarps * 32) q[d] = to_float(q_row[d]);
  __syncthreads();

  int warp = static_cast<int>(threadIdx.x) / 32, lane = static_cast<int>(threadIdx.x) % 32;
  const KvT *k = reinterpret_cast<const KvT*>(a.k), *v = reinterpret_cast<const KvT*>(a.v);
  const int32_t* table = a.block_table + seq * a.table_stride;
  int64_t head_offset = int64_t{head / (a.num_heads / a.num_kv_heads)} * a.block_size * a.head_dim;
  float highest = -INFINITY, total = 0, sum[kDimsPerLane] = {};
  for (int tile = first + warp * 32; tile <= position; tile += kWarps * 32) {
    int key = tile + lane;
    int64_t offset = 0;
    float score = -INFINITY;
    if (key <= position) {
      offset = table[key / a.block_size] * a.page_stride + head_offset + int64_t{key % a.block_size} * a.head_dim;
      score = dot(q, k + offset, a.head_dim) * a.scale;
      if (a.softcap > 0) score = a.softcap * tanhf(score / a.softcap);
    }
    float tile_max = score;
    for (int i = 16; i > 0; i /= 2) tile_max = fmaxf(tile_max, __shfl_xor_sync(0xffffffffu, tile_max, i));
    float new_max = fmaxf(highest, tile_max);  // finite: a tile has at least one key
    float weight = expf(score - new_max), shrink = expf(highest - new_max);
    highest = new_max;
    float tile_sum = weight;
    for (int i = 16; i > 0; i /= 2) tile_sum += __shfl_xor_sync(0xffffffffu, tile_sum, i);
    total = total * shrink + tile_sum;
#pragma unroll
    for (int i = 0; i < kDimsPerLane; ++i) sum[i] *= shrink;
    int keys = min(32, position + 1 - tile);
    for (int j = 0; j < keys; ++j) {
      float w = __shfl_sync(0xffffffffu, weight, j);
      const KvT* row = v + __shfl_sync(0xffffffffu, offset, j);
#pragma unroll
      for (int i = 0; i < kDimsPerLane; ++i) {
        if (int d = lane + 32 * i; d < a.head_dim) sum[i] = fmaf(w, to_float(row[d]), sum[i]);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kDimsPerLane; ++i) part[warp][lane + 32 * i] = sum[i];
  if (lane == 0) part_max[warp] = highest, part_sum[warp] = total;
  __syncthreads();

  highest = -INFINITY, total = 0;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) highest = fmaxf(highest, part_max[w]);
  float shrink[kWarps];
#pragma unroll
  for (int w = 0; w < kWarps; ++w) {
    shrink[w] = expf(part_max[w] - highest);  // 0 for a warp without keys
    total += part_sum[w] * shrink[w];
  }
  T* out_row = static_cast<T*>(a.out) + token * a.out_stride + int64_t{head} * a.head_dim;
  for (int d = static_cast<int>(threadIdx.x); d < a.head_dim; d += kWarps * 32) {
    float joined = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w) joined = fmaf(part[w][d], shrink[w], joined);
    out_row[d] = from_float<T>(joined / total);
  }
}

}  // namespace

Status plain_attention_cuda(const AttentionKernelArgs& a, DType dtype, DType kv_dtype, StreamRef stream) {
  LaunchShape shape{dim3(static_cast<unsigned>(a.num_tokens), static_cast<unsigned>(a.num_heads)), dim3(kWarps * 32)};
  return dispatch_float(dtype, [&](auto t) {
    return dispatch_kv(kv_dtype,
                       [&](auto kv) { return launch(plain_attention<decltype(t), decltype(kv)>, shape, stream, a); });
  });
}

}  // namespace vllm
