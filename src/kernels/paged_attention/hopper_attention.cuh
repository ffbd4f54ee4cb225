#pragma once
// Prefill attention over paged KV on Hopper: heads of 128, 16-bit types, causal.
//
// The algorithm is that of FlashAttention-3 (Shah et al. 2024, arXiv:2407.08608): a warpgroup copies tiles of 128 keys
// and values into rings in shared memory, page by page, while two others of 64 packed rows (query, head of the group)
// each multiply. A warpgroup starts the scores of the next tile and the product with this tile's values together, and
// takes the next tile's softmax while the second runs; the two groups take turns, so that one multiplies while the
// other is at its exponentials. Blocks stay and draw items from a counter, heaviest first; keys of a tile go from the
// last to the first.
#include "kernels/paged_attention/attention_kernels_cuda.h"
#include "kernels/paged_attention/fast_attention_join.cuh"
#include "kernels/paged_attention/hopper_mma.cuh"
#include "tensor/cuda/launch.cuh"
#include "tensor/cuda/types.cuh"

namespace vllm::hopper {

constexpr int kHeadDim = 128, kRows = 128, kKeys = 128, kKeyStages = 2, kValueStages = 3;
constexpr int kGroupRows = 64;                   // of a warpgroup
constexpr int kConsumers = 256, kThreads = 384;  // the first warpgroup copies
constexpr int kTileBytes = kKeys * 128;          // half of a tile's columns: [128][64]
constexpr int kQTileBytes = kGroupRows * 128;
constexpr int kBarrierGroup = 1, kBarrierTurn = 3, kBarrierAll = 5;  // named ones: of each warpgroup, its turn, both

/// One item of the plan and a KV head.
struct Item {
  AttentionWork work;
  int kv_head, chunks;
  int begin, end;  // keys
  int last_tile;   // of keys, taken downwards
  int tiles;       // how many; -1: there are no more items
};

struct Shared {
  uint8_t q[2][2][2][kQTileBytes];  // of an item by warpgroup and half of the columns; also what leaves a warpgroup
  uint8_t k[kKeyStages][2][kTileBytes], v[kValueStages][2][kTileBytes];
  uint64_t k_full[kKeyStages], k_empty[kKeyStages], v_full[kValueStages], v_empty[kValueStages];
  uint64_t item_full[2], item_empty[2], q_full[2];
  Item item[2];
};

template <typename T>
struct Args {
  T *out, *partial_out;
  const T* q;
  float* partial_lse;
  const AttentionPlanHeader* header;
  const AttentionWork* work;
  int *counters, *ticket;  // ticket[0]: items drawn, ticket[1]: blocks that drew their last; both zero before and after
  const int32_t* block_table;
  int64_t q_stride;
  int table_stride, group, num_kv_heads, block_size;
  uint32_t group_inverse;  // 2^32 / group, rounded up; 0: the group is 1
  float scale_log2;        // of the scores, with log2(e)
};

/// The query of a packed row: row / group, for rows below 2^32 / group.
template <typename T>
__device__ __forceinline__ int query_of(const Args<T>& a, int row) {
  return a.group_inverse == 0 ? row : static_cast<int>(__umulhi(static_cast<uint32_t>(row), a.group_inverse));
}

template <typename T>
__device__ __forceinline__ Item load_item(const Args<T>& a, int index, int chunk) {
  Item item;
  const int4* packed = reinterpret_cast<const int4*>(a.work + index / a.num_kv_heads);
  const int4 first = packed[0], second = packed[1];
  item.work = {first.x, first.y, first.z, first.w, second.x, second.y, second.z, second.w};
  item.kv_head = index % a.num_kv_heads;
  item.chunks = attention_chunks(item.work.kv_len, chunk);
  const int before = item.work.kv_len - item.work.q_len;
  const int last_row = min((item.work.q_tile + 1) * kRows, item.work.q_len * a.group) - 1;
  item.begin = item.chunks > 1 ? item.work.kv_tile * chunk : 0;
  item.end = before + query_of(a, last_row) + 1;
  if (item.chunks > 1) item.end = min(item.end, item.begin + chunk);
  item.last_tile = (item.end - 1) / kKeys;
  item.tiles = item.end > item.begin ? item.last_tile - item.begin / kKeys + 1 : 0;
  return item;
}

/// Where one is in a ring of barriers.
template <int kSlots>
struct Place {
  int slot = 0;
  uint32_t parity = 0;
  __device__ __forceinline__ void next() {
    if (++slot == kSlots) slot = 0, parity ^= 1;
  }
};

/// Copy 16 bytes, or write 16 zeros with `bytes` = 0.
__device__ __forceinline__ void copy_16(uint32_t to, const void* from, int bytes) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes) : "memory");
}
/// One arrival when this thread's copies so far are there.
__device__ __forceinline__ void arrive_when_copied(uint64_t* barrier) {
  asm volatile("cp.async.mbarrier.arrive.noinc.shared::cta.b64 [%0];" ::"r"(shared_address(barrier)) : "memory");
}

/// An item's rows of q, swizzled, by 128 threads; rows behind the sequence are zero.
template <typename T>
__device__ __forceinline__ void copy_q(const Args<T>& a, const Item& item, uint8_t (&to)[2][2][kQTileBytes],
                                       int thread) {
  const int column = thread % 16, row = thread / 16;  // of 16 bytes, and modulo 8
  const int rows = item.work.q_len * a.group, first = item.work.q_tile * kRows + row;
  const uint32_t place = shared_address(to) + column / 8 * kQTileBytes + row * 128 + ((column % 8) ^ row) * 16;
#pragma unroll 4
  for (int pass = 0; pass < kRows / 8; ++pass) {
    const int packed = first + pass * 8, query = query_of(a, packed);
    const int head = item.kv_head * a.group + packed - query * a.group;
    const T* from = a.q + (item.work.q_start + query) * a.q_stride + head * kHeadDim + column * 8;
    const bool there = packed < rows;
    copy_16(place + pass / 8 * 2 * kQTileBytes + pass % 8 * 1024, there ? from : a.q, there ? 16 : 0);
  }
}

/// The warpgroup that copies: all of it the rows of q, two warps the halves of the keys' columns, two those of values.
template <typename T>
__device__ void copy_tiles(const Args<T>& a, Shared& s, const CUtensorMap* k_map, const CUtensorMap* v_map,
                           int num_items, int chunk) {
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
  const int warp = __shfl_sync(0xffffffffu, thread / 32, 0), half = warp % 2;
  const int pages_per_tile = kKeys / a.block_size;
  Place<2> drawn;
  Place<kKeyStages> key_stage;
  Place<kValueStages> value_stage;
  int index = static_cast<int>(blockIdx.x);
  while (true) {
    if (warp == 0) {
      Item item;
      item.tiles = -1;
      if (index < num_items) item = load_item(a, index, chunk);
      barrier_wait(&s.item_empty[drawn.slot], drawn.parity ^ 1);
      if (lane == 0) {
        s.item[drawn.slot] = item;
        barrier_arrive(&s.item_full[drawn.slot]);
      }
    }
    barrier_wait(&s.item_full[drawn.slot], drawn.parity);
    const Item item = s.item[drawn.slot];
    if (item.tiles < 0) break;
    copy_q(a, item, s.q[drawn.slot], thread);
    arrive_when_copied(&s.q_full[drawn.slot]);
    __syncwarp();
    if (lane == 0) barrier_arrive(&s.item_empty[drawn.slot]);
    drawn.next();
    int next = 0;
    if (thread == 0) next = static_cast<int>(gridDim.x) + atomicAdd(a.ticket, 1);

    const int32_t* table = a.block_table + static_cast<int64_t>(item.work.seq) * a.table_stride;
    const int num_pages = (item.end + a.block_size - 1) / a.block_size;
    auto page_of = [&](int tile) {
      const int column = tile * pages_per_tile + lane;
      return tile >= 0 && lane < pages_per_tile && column < num_pages ? table[column] : 0;
    };
    int32_t page = page_of(item.last_tile);
    for (int i = 0; i < item.tiles; ++i) {
      const int tile = item.last_tile - i, pages = min(pages_per_tile, num_pages - tile * pages_per_tile);
      const int32_t next_page = page_of(tile - 1);
      auto copy = [&](uint8_t* to, const CUtensorMap* map, uint64_t* full, uint64_t* empty, uint32_t parity) {
        barrier_wait(empty, parity ^ 1);
        if (lane == 0) barrier_expect(full, static_cast<uint32_t>(pages * a.block_size) * 128);
        __syncwarp();
        if (lane < pages) {
          tensor_copy(to + lane * a.block_size * 128, map, half * 64, item.kv_head * a.block_size, page, full);
        }
        __syncwarp();
      };
      if (warp < 2) {
        copy(s.k[key_stage.slot][half], k_map, &s.k_full[key_stage.slot], &s.k_empty[key_stage.slot], key_stage.parity);
        key_stage.next();
      } else {
        copy(s.v[value_stage.slot][half], v_map, &s.v_full[value_stage.slot], &s.v_empty[value_stage.slot],
             value_stage.parity);
        value_stage.next();
      }
      page = next_page;
    }
    if (warp == 0) index = __shfl_sync(0xffffffffu, next, 0);
  }
  if (thread == 0 && atomicAdd(a.ticket + 1, 1) == static_cast<int>(gridDim.x) - 1) {
    a.ticket[0] = 0, a.ticket[1] = 0;  // every block has drawn its last
  }
}

template <typename T>
__device__ __forceinline__ uint32_t pack(float x, float y) {
  if constexpr (std::is_same_v<T, __half>) {
    __half2 v = __floats2half2_rn(x, y);
    return reinterpret_cast<uint32_t&>(v);
  } else {
    __nv_bfloat162 v = __floats2bfloat162_rn(x, y);
    return reinterpret_cast<uint32_t&>(v);
  }
}

/// 2^x; below 2^-126 zero, which exp2f would not give without more instructions.
__device__ __forceinline__ float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

/// One warpgroup's online softmax: rows r and r + 8 of a thread.
struct Softmax {
  float max[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};

  /// Scores become weights; returns what older results are to be multiplied with.
  __device__ __forceinline__ float2 take(float (&s)[64], float scale_log2) {
    float scales[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float high[4];  // several chains, as an instruction waits for the one before it in a chain
#pragma unroll
      for (int c = 0; c < 4; ++c) high[c] = fmaxf(s[4 * c + 2 * r], s[4 * c + 2 * r + 1]);
#pragma unroll
      for (int j = 4; j < 16; ++j) high[j % 4] = fmaxf(high[j % 4], fmaxf(s[4 * j + 2 * r], s[4 * j + 2 * r + 1]));
      float highest = fmaxf(fmaxf(high[0], high[1]), fmaxf(high[2], high[3]));
      highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 1));
      highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 2));
      highest = fmaxf(highest, max[r]);
      const float offset = highest == -INFINITY ? 0.f : highest * scale_log2;
      scales[r] = power_of_two(fmaf(max[r], scale_log2, -offset));
      max[r] = highest;
      float total[4] = {};
#pragma unroll
      for (int j = 0; j < 16; ++j) {
#pragma unroll
        for (int c = 0; c < 2; ++c) {
          float& x = s[4 * j + 2 * r + c];
          x = power_of_two(fmaf(x, scale_log2, -offset));
          total[j % 2 * 2 + c] += x;
        }
      }
      sum[r] = fmaf(sum[r], scales[r], total[0] + total[1] + (total[2] + total[3]));
    }
    return {scales[0], scales[1]};
  }
};

/// Keys outside [low, high) of each row get no weight; `tile` is the tile's first key.
__device__ __forceinline__ void mask(float (&s)[64], int tile, int low, const int (&high)[2], int lane) {
#pragma unroll
  for (int j = 0; j < 16; ++j) {
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const int key = tile + 8 * j + 2 * (lane % 4) + c;
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        if (key < low || key >= high[r]) s[4 * j + 2 * r + c] = -INFINITY;
      }
    }
  }
}

template <typename T>
struct Consumer {
  const Args<T>& a;
  Shared& s;
  const int group, thread, lane;  // warpgroup 0 or 1, thread and lane in it
  Place<2> drawn;
  Place<kKeyStages> k_stage;
  Place<kValueStages> v_stage;
  float scores[64], out[64];
  uint32_t weights[8][4];

  __device__ __forceinline__ void sync_group() const { named_sync(kBarrierGroup + group, 128); }
  __device__ __forceinline__ void release(uint64_t* empty) const {
    __syncwarp();
    if (lane == 0) barrier_arrive(empty);
  }
  __device__ __forceinline__ void start_scores() {
    const uint32_t q = shared_address(s.q[drawn.slot][group]), k = shared_address(s.k[k_stage.slot]);
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < kHeadDim / 16; ++i) {
      mma_shared(T{}, scores, rows_along_k(q + i / 4 * kQTileBytes + i % 4 * 32),
                 rows_along_k(k + i / 4 * kTileBytes + i % 4 * 32), i > 0);
    }
    wgmma_commit();
  }
  __device__ __forceinline__ void start_values(bool first) {
    const uint32_t v = shared_address(s.v[v_stage.slot]);
    wgmma_fence();
#pragma unroll
    for (int i = 0; i < kKeys / 16; ++i) {
      mma_registers(T{}, out, weights[i], rows_along_n(v + i * 2048, kTileBytes), i > 0 || !first);
    }
    wgmma_commit();
  }
  __device__ __forceinline__ void pack_weights() {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
#pragma unroll
      for (int j = 0; j < 2; ++j) {
        weights[i][2 * j] = pack<T>(scores[8 * i + 4 * j], scores[8 * i + 4 * j + 1]);
        weights[i][2 * j + 1] = pack<T>(scores[8 * i + 4 * j + 2], scores[8 * i + 4 * j + 3]);
      }
    }
  }
  /// Values behind the sequence's end were not copied, or are what the page held before: weight 0 must find no NaN.
  __device__ __forceinline__ void clear_values(int first_row) {
    for (int at = first_row * 16 + thread; at < kKeys * 16; at += 128) {
      *reinterpret_cast<uint4*>(s.v[v_stage.slot][at % 16 / 8] + at / 16 * 128 + at % 8 * 16) = uint4{};
    }
    proxy_fence();
    sync_group();
  }
  __device__ void run(const Item& item);
  __device__ void store(const Item& item, const Softmax& softmax, int first_row);
};

template <typename T>
__device__ __forceinline__ void Consumer<T>::run(const Item& item) {
  const int first_row = item.work.q_tile * kRows + group * kGroupRows;
  barrier_wait(&s.q_full[drawn.slot], drawn.parity);
  proxy_fence();  // of what the copying threads wrote
  int high[2];    // keys that this thread's two rows see
  const int before = item.work.kv_len - item.work.q_len + 1;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    high[r] = min(item.end, before + query_of(a, first_row + thread / 32 * 16 + lane / 4 + 8 * r));
  }
  const int all_see = min(item.end, before + query_of(a, first_row));  // keys that every row of this group sees
  auto mask_tile = [&](int i) {
    const int tile = (item.last_tile - i) * kKeys;
    if (tile + kKeys > all_see || tile < item.begin) mask(scores, tile, item.begin, high, lane);
  };
  Softmax softmax;
  if (item.tiles > 0) {
    barrier_wait(&s.k_full[k_stage.slot], k_stage.parity);
    start_scores();
    mma_wait<0>(scores);
    release(&s.k_empty[k_stage.slot]);
    k_stage.next();
    mask_tile(0);
    softmax.take(scores, a.scale_log2);
    pack_weights();
    const int held = item.end - item.last_tile * kKeys;
    if (held < kKeys) {
      barrier_wait(&s.v_full[v_stage.slot], v_stage.parity);
      clear_values(held);
    }
    if (item.tiles > 1) barrier_wait(&s.k_full[k_stage.slot], k_stage.parity);
  }
#pragma unroll 1
  for (int i = 1; i < item.tiles; ++i) {
    named_sync(kBarrierTurn + group, kConsumers);
    start_scores();
    barrier_wait(&s.v_full[v_stage.slot], v_stage.parity);
    start_values(i == 1);
    named_arrive(kBarrierTurn + 1 - group, kConsumers);
    mma_wait<1>(scores);
    release(&s.k_empty[k_stage.slot]);
    k_stage.next();
    mask_tile(i);
    const float2 scale = softmax.take(scores, a.scale_log2);
    // The wait for the next keys stands here because ptxas moves the exponentials below the next line without it.
    if (i + 1 < item.tiles) barrier_wait(&s.k_full[k_stage.slot], k_stage.parity);
    mma_wait<0>(out);
    release(&s.v_empty[v_stage.slot]);
    v_stage.next();
#pragma unroll
    for (int j = 0; j < 16; ++j) {
      out[4 * j] *= scale.x, out[4 * j + 1] *= scale.x, out[4 * j + 2] *= scale.y, out[4 * j + 3] *= scale.y;
    }
    pack_weights();
  }
  if (item.tiles > 0) {
    barrier_wait(&s.v_full[v_stage.slot], v_stage.parity);
    start_values(item.tiles == 1);
    mma_wait<0>(out);
    release(&s.v_empty[v_stage.slot]);
    v_stage.next();
  } else {
#pragma unroll
    for (float& x : out) x = 0;
  }
  store(item, softmax, first_row);
}

/// Through this warpgroup's part of s.q, which nobody reads any more.
template <typename T>
__device__ __forceinline__ void Consumer<T>::store(const Item& item, const Softmax& softmax, int first_row) {
  const int rows = item.work.q_len * a.group, num_heads = a.group * a.num_kv_heads;
  const bool split = item.chunks > 1;
  uint8_t* stage = s.q[drawn.slot][group][0];
  sync_group();
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    float sum = softmax.sum[r];
    sum += __shfl_xor_sync(0xffffffffu, sum, 1);
    sum += __shfl_xor_sync(0xffffffffu, sum, 2);
    const float inverse = sum > 0 ? 1.f / sum : 0.f;
    const int row = thread / 32 * 16 + lane / 4 + 8 * r;
#pragma unroll
    for (int j = 0; j < 16; ++j) {
      *reinterpret_cast<uint32_t*>(stage + row * 256 + (j ^ (row % 8)) * 16 + lane % 4 * 4) =
          pack<T>(out[4 * j + 2 * r] * inverse, out[4 * j + 2 * r + 1] * inverse);
    }
    const int packed = first_row + row;
    if (split && lane % 4 == 0 && packed < rows) {
      const int query = query_of(a, packed), head = item.kv_head * a.group + packed - query * a.group;
      const int64_t part = item.work.partial_row + int64_t{query} * item.chunks + item.work.kv_tile;
      a.partial_lse[part * num_heads + head] = sum > 0 ? softmax.max[r] * a.scale_log2 + log2f(sum) : -INFINITY;
    }
  }
  sync_group();
#pragma unroll
  for (int i = 0; i < kGroupRows * 16 / 128; ++i) {
    const int at = i * 128 + thread, row = at / 16, chunk = at % 16, packed = first_row + row;
    if (packed >= rows) continue;
    const int query = query_of(a, packed), head = item.kv_head * a.group + packed - query * a.group;
    const int64_t to = split ? item.work.partial_row + int64_t{query} * item.chunks + item.work.kv_tile
                             : int64_t{item.work.q_start} + query;
    T* place = (split ? a.partial_out : a.out) + (to * num_heads + head) * kHeadDim + chunk * 8;
    *reinterpret_cast<uint4*>(place) = *reinterpret_cast<const uint4*>(stage + row * 256 + (chunk ^ (row % 8)) * 16);
  }
  if (split) {
    JoinTile join{.chunks = item.chunks, .group = a.group, .kv_head = item.kv_head, .num_heads = num_heads};
    join.first_row = item.work.q_tile * kRows;
    join.num_rows = min(kRows, rows - join.first_row);
    join.q_start = item.work.q_start, join.partial_row = item.work.partial_row;
    join_if_last<T, kHeadDim, kConsumers>(join, a.counters + item.work.unit * a.num_kv_heads + item.kv_head,
                                          a.partial_out, a.partial_lse, a.out, s.q[drawn.slot][0][0],
                                          group * 128 + thread, [] { named_sync(kBarrierAll, kConsumers); });
  }
}

template <typename T>
__global__ void __launch_bounds__(kThreads, 1)
    hopper_attention(const __grid_constant__ Args<T> a, const __grid_constant__ CUtensorMap k_map,
                     const __grid_constant__ CUtensorMap v_map) {
  extern __shared__ __align__(1024) uint8_t memory[];
  Shared& s = *reinterpret_cast<Shared*>(memory);
  const int thread = static_cast<int>(threadIdx.x);
  const int group = __shfl_sync(0xffffffffu, thread / 128, 0) - 1;  // so that it is known to be the warp's
  if (thread == 0) {
    // Full: the two warps that copy halves. Empty: every warp that multiplies.
    for (int i = 0; i < kKeyStages; ++i) barrier_init(&s.k_full[i], 2), barrier_init(&s.k_empty[i], kConsumers / 32);
    for (int i = 0; i < kValueStages; ++i) barrier_init(&s.v_full[i], 2), barrier_init(&s.v_empty[i], kConsumers / 32);
    for (int i = 0; i < 2; ++i) {
      barrier_init(&s.item_full[i], 1), barrier_init(&s.item_empty[i], kThreads / 32), barrier_init(&s.q_full[i], 128);
    }
    barrier_init_fence();
  }
  pdl_launch();
  pdl_wait();
  __syncthreads();
  const int num_items = a.header->num_items * a.num_kv_heads, chunk = a.header->chunk;
  if (group < 0) {
    drop_registers<40>();
    copy_tiles(a, s, &k_map, &v_map, num_items, chunk);
    return;
  }
  raise_registers<232>();
  Consumer<T> consumer{.a = a, .s = s, .group = group, .thread = thread % 128, .lane = thread % 32};
  if (group == 1) named_arrive(kBarrierTurn, kConsumers);
  while (true) {
    barrier_wait(&s.item_full[consumer.drawn.slot], consumer.drawn.parity);
    const Item item = s.item[consumer.drawn.slot];
    if (item.tiles < 0) break;
    consumer.run(item);
    consumer.release(&s.item_empty[consumer.drawn.slot]);
    consumer.drawn.next();
  }
  if (group == 0) named_sync(kBarrierTurn, kConsumers);
}

}  // namespace vllm::hopper
