// The plan of a step on the device: one block, a few microseconds, once per step.
#include "kernels/paged_attention/attention_kernels_cuda.h"
#include "tensor/cuda/launch.cuh"

namespace vllm {
namespace {

constexpr int kThreads = 1024;
constexpr int kWarps = kThreads / 32;
constexpr unsigned kAll = 0xffffffffu;

__device__ int warp_sum(int x) {
  for (int i = 16; i > 0; i /= 2) x += __shfl_xor_sync(kAll, x, i);
  return x;
}

/// Sum over the threads before this one; `total` gets the sum over all. All threads take part.
__device__ int block_scan(int x, int* total) {
  __shared__ int sums[kWarps];
  int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32, inclusive = x;
  for (int i = 1; i < 32; i *= 2) {
    int other = __shfl_up_sync(kAll, inclusive, i);
    if (lane >= i) inclusive += other;
  }
  __syncthreads();  // the last call's readers of `sums`
  if (lane == 31) sums[warp] = inclusive;
  __syncthreads();
  int before = 0, all = 0;
  for (int w = 0; w < kWarps; ++w) {
    before += w < warp ? sums[w] : 0;
    all += sums[w];
  }
  *total = all;
  return before + inclusive - x;
}

struct Seq {
  AttentionPlanSeq need;
  int first_item, first_unit, first_row;
};

__global__ void __launch_bounds__(kThreads) plan_attention(AttentionPlanArgs a) {
  __shared__ Seq seqs[kAttentionPlanSeqs];
  __shared__ int counts[kAttentionChunks], chosen;
  pdl_launch();
  pdl_wait();
  const AttentionPlanRules& rules = a.rules[blockIdx.x];
  int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  int my_tiles = 0, tiles;
  for (int s = thread; s < a.num_seqs; s += kThreads) {
    seqs[s].need = attention_plan_seq(rules, a.query_start[s + 1] - a.query_start[s], a.seq_lens[s]);
    my_tiles += seqs[s].need.tiles;
  }
  block_scan(my_tiles, &tiles);

  for (int k = warp; k < kAttentionChunks; k += kWarps) {
    int items = 0;
    for (int s = lane; s < a.num_seqs; s += 32) {
      items += seqs[s].need.tiles * attention_chunks(seqs[s].need.keys, attention_chunk(k));
    }
    items = warp_sum(items);
    if (lane == 0) counts[k] = items;
  }
  __syncthreads();
  if (warp == 0) {
    for (int k = 0; k < kAttentionChunks; k += 32) {
      unsigned fits = __ballot_sync(kAll, attention_chunk_fits(rules, k + lane, tiles, counts[k + lane]));
      if (fits != 0) {
        if (lane == 0) chosen = k + __ffs(static_cast<int>(fits)) - 1;
        break;
      }
    }
  }
  __syncthreads();
  int chunk = attention_chunk(chosen);

  int each = (a.num_seqs + kThreads - 1) / kThreads, begin = min(thread * each, a.num_seqs);
  int end = min(begin + each, a.num_seqs), items = 0, units = 0, rows = 0;
  for (int s = begin; s < end; ++s) {
    int chunks = attention_chunks(seqs[s].need.keys, chunk);
    seqs[s].first_item = items, seqs[s].first_unit = units, seqs[s].first_row = rows;
    items += seqs[s].need.tiles * chunks;
    if (chunks > 1) units += seqs[s].need.tiles, rows += (a.query_start[s + 1] - a.query_start[s]) * chunks;
  }
  AttentionPlanHeader header{};
  header.chunk = chunk;
  int item_base = block_scan(items, &header.num_items), unit_base = block_scan(units, &header.num_units);
  int row_base = block_scan(rows, &header.num_partial_rows);
  for (int s = begin; s < end; ++s) {
    seqs[s].first_item += item_base, seqs[s].first_unit += unit_base, seqs[s].first_row += row_base;
  }
  __syncthreads();

  AttentionWork* work = a.work[blockIdx.x];
  for (int i = thread; i < header.num_items; i += kThreads) {
    int low = 0, high = a.num_seqs;  // the last sequence whose first item is at or before i: one that has items
    while (high - low > 1) {
      int middle = (low + high) / 2;
      (seqs[middle].first_item <= i ? low : high) = middle;
    }
    AttentionWork w =
        attention_work(seqs[low].need, chunk, i - seqs[low].first_item, low, seqs[low].first_unit, seqs[low].first_row);
    w.q_start = a.query_start[low], w.q_len = a.query_start[low + 1] - w.q_start, w.kv_len = a.seq_lens[low];
    work[i] = w;
  }
  if (thread == 0) a.headers[blockIdx.x] = header;
}

}  // namespace

Status plan_attention_cuda(const AttentionPlanArgs& a, int num_plans, StreamRef stream) {
  return launch(plan_attention, {dim3(static_cast<unsigned>(num_plans)), dim3(kThreads)}, stream, a);
}

}  // namespace vllm
