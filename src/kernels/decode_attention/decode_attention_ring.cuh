#pragma once
// The kernel of decode_attention_cuda for many sequences, where the KV cache's bandwidth decides.
//
// Work and results are as in decode_attention.cuh, but keys and values come through shared memory: every warp has a
// ring of slots, each a tile's keys or its values, which bulk copies fill ahead of it (16 keys of a head are one run of
// memory). A warp fills and reads its own ring, so that warps never wait for each other. Four blocks share an SM of
// Hopper, which keeps about 160 KB of reads in flight there: twice what its share of the bandwidth needs.
#include "kernels/decode_attention/decode_attention.cuh"
#include "tensor/cuda/hopper.cuh"

namespace vllm {

constexpr int kRingWarps = 4, kRingThreads = 32 * kRingWarps;
constexpr int kRingBlocks = 8;  // of a cluster at most
constexpr int kRingBlocksPerSm = 4;

template <typename T, int kHeadDim>
struct RingShared {
  static constexpr int kSlots = 384 / kHeadDim;  // 12 KB a warp
  static constexpr int kQRow = kHeadDim + 32, kOutRow = kHeadDim + 4;
  using Part = float[kDecodeGroup][kOutRow];
  alignas(128) T ring[kRingWarps][kSlots][kDecodeTile * kHeadDim];  // at the end: each warp's Part
  alignas(16) T q[kDecodeGroup][kQRow];                             // rows behind the group are zero
  alignas(16) T fresh[2][kHeadDim];                                 // the new key and value
  uint64_t full[kRingWarps][kSlots];
  float2 part_ml[kRingWarps][kDecodeGroup];
  float joined[kDecodeGroup * kHeadDim];
  float2 joined_ml[kRingBlocks][kDecodeGroup];
  __device__ __forceinline__ Part& part(int warp) { return *reinterpret_cast<Part*>(ring[warp]); }
  static_assert(sizeof(Part) <= sizeof(T) * kSlots * kDecodeTile * kHeadDim);
};
static_assert(kRingBlocksPerSm * (sizeof(RingShared<__half, 128>) + 1024) <= 228 * 1024, "blocks do not fit an SM");

/// A warp's ring: units 2 i and 2 i + 1 are the keys and values of its tile i, and use the slots in turn.
template <typename T, int kHeadDim>
struct WarpRing {
  static constexpr int kSlots = RingShared<T, kHeadDim>::kSlots;
  const DecodeAttentionArgs<T>& a;
  T (*slots)[kDecodeTile * kHeadDim];
  uint64_t* full;
  const int32_t* table;
  int lane, kv_head, tile, step;  // tile 0, and how far the next is
  int num_old = 0;                // end of the keys
  int base = 0;                   // pages of tiles base + lane, and the 32 behind them
  int32_t pages = 0, next_pages = 0;
  int slot = 0;
  uint32_t parity = 0;  // of the slot to read

  __device__ __forceinline__ int32_t page_of(int i) const {  // entries behind the sequence are not used
    const unsigned tiles = static_cast<unsigned>(a.block_size) / kDecodeTile;
    const int column = static_cast<int>(static_cast<unsigned>(tile + i * step) / tiles);
    return column < a.columns ? table[column] : 0;
  }
  __device__ __forceinline__ void load_pages() { pages = page_of(lane), next_pages = page_of(32 + lane); }
  /// Keys of tile i in the cache, or less than 1.
  __device__ __forceinline__ int keys(int i) const { return num_old - (tile + i * step) * kDecodeTile; }

  /// Start to fill the slot at `to` with a unit, if there is one. Units come in order. The whole warp calls.
  __device__ __forceinline__ void fill(int unit, int to) {
    const int i = unit / 2, rows = min(keys(i), kDecodeTile);
    if (rows <= 0) return;
    if (i == base + 32) {
      base += 32, pages = next_pages;
      next_pages = page_of(base + 32 + lane);
    }
    const int32_t page = __shfl_sync(0xffffffffu, pages, i - base);
    if (lane != 0) return;
    const unsigned tiles = static_cast<unsigned>(a.block_size) / kDecodeTile;
    const int64_t offset =
        page * a.page_stride +
        (int64_t{kv_head} * a.block_size + static_cast<unsigned>(tile + i * step) % tiles * kDecodeTile) * kHeadDim;
    const uint32_t bytes = static_cast<uint32_t>(rows * kHeadDim * static_cast<int>(sizeof(T)));
    barrier_expect(&full[to], bytes);
    bulk_copy(slots[to], (unit % 2 ? a.v : a.k) + offset, bytes, &full[to]);
  }
  __device__ __forceinline__ const T* wait() const {
    barrier_wait(&full[slot], parity);
    return slots[slot];
  }
  /// The slot that was waited for, of `unit`, has been read.
  __device__ __forceinline__ void next(int unit) {
    __syncwarp();
    fill(unit + kSlots, slot);
    if (++slot == kSlots) slot = 0, parity ^= 1;
  }
};

/// grid: blocks of a cluster, KV heads, sequences.
template <typename T, int kHeadDim>
__global__ void __launch_bounds__(kRingThreads, kRingBlocksPerSm)
    decode_attention_ring(const __grid_constant__ DecodeAttentionArgs<T> a) {
  using Shared = RingShared<T, kHeadDim>;
  extern __shared__ __align__(128) unsigned char memory[];
  Shared& sh = *reinterpret_cast<Shared*>(memory);
  pdl_launch();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int rank = static_cast<int>(blockIdx.x), ranks = static_cast<int>(gridDim.x);
  const int kv_head = static_cast<int>(blockIdx.y), seq = static_cast<int>(blockIdx.z);
  const bool is_last = rank == ranks - 1;
  if (lane == 0) {
    for (int i = 0; i < Shared::kSlots; ++i) barrier_init(&sh.full[warp][i], 1);
    barrier_init_fence();
  }
  DecodeItems<kRingWarps, T, kHeadDim> items(a, kv_head, warp, lane, is_last);
  for (int i = a.group * Shared::kQRow + thread; i < kDecodeGroup * Shared::kQRow; i += kRingThreads) {
    sh.q[0][i] = from_float<T>(0.f);
  }
  __syncwarp();

  // The batch and the keys in the cache were there before this step's first layer: their way here needs no wait.
  const int num_keys = a.seq_lens[seq], first = a.window > 0 ? max(0, num_keys - a.window) : 0;
  WarpRing<T, kHeadDim> ring{a,
                             sh.ring[warp],
                             sh.full[warp],
                             a.block_table + seq * a.table_stride,
                             lane,
                             kv_head,
                             first / kDecodeTile + warp * ranks + rank,
                             ranks * kRingWarps};
  ring.load_pages();
  ring.num_old = first < num_keys - 1 ? num_keys - 1 : 0;  // 0: no old key is seen
#pragma unroll
  for (int unit = 0; unit < Shared::kSlots; ++unit) ring.fill(unit, unit);
  pdl_wait();
  if (num_keys <= 0) return;  // padding; the whole cluster
  items.start(seq);
  if (ranks > 1) cluster_arrive_relaxed();
  items.finish(sh.q, sh.fresh);
  __syncthreads();

  DecodeWarp<T, kHeadDim> w(lane);
  bool fresh = is_last && warp == kRingWarps - 1;
  for (int i = 0;; ++i) {
    int low = first - (ring.tile + i * ring.step) * kDecodeTile, high = ring.keys(i);
    const bool old = high > 0;
    if (old) {
      w.take_k(ring.wait());
      ring.next(2 * i);
    } else {
      if (!fresh) break;
      fresh = false, low = 0, high = 1;
      w.load_fresh(sh.fresh);
    }
    float s[4];
    w.scores(s, sh.q[w.g]);
    finish_scores(a, s, w.g, low, high);
    if (old) {
      w.take_v(ring.wait(), low, high);
      ring.next(2 * i + 1);
    }
    w.add(s);
  }
  __syncwarp();
  w.store(sh.part(warp), sh.part_ml[warp], a.group);
  __syncthreads();
  join_block<kRingWarps, kHeadDim>(
      a, seq, kv_head, rank, ranks, sh.part_ml, [&](int p, int r, int d) { return sh.part(p)[r][d]; }, sh.joined,
      sh.joined_ml);
}

}  // namespace vllm
