#pragma once
// The kernel of decode_attention_cuda.
//
// A cluster of thread blocks serves one sequence and KV head. Keys are cut into tiles of 16, which go round robin over
// the warps of the cluster. A warp loads its tile into registers in the layout of mma.m16n8k16 operands (the order of
// the summed dimension is free, so that every load is 16 bytes), with the group's query heads as the 8 columns:
//   S^T [16 keys, 8 heads] = K Q^T,   O^T [head_dim, 8 heads] += V^T P^T
// Meanwhile the block makes the query heads. The last block also makes the new key and value, writes them to their page
// and takes them as one more tile. Parts are joined in a fixed order: warps in shared memory, blocks by pushing to
// each other over distributed shared memory.
#include "kernels/decode_attention/decode_attention_mma.cuh"
#include "tensor/cuda/launch.cuh"
#include "tensor/cuda/types.cuh"

namespace vllm {

constexpr int kDecodeWarps = 8, kDecodeThreads = 32 * kDecodeWarps;
constexpr int kDecodeGroup = 8;    // query heads of a KV head at most
constexpr int kDecodeTile = 16;    // keys
constexpr int kDecodeBlocks = 16;  // of a cluster at most

template <typename T>
struct DecodeAttentionArgs {
  T* out;
  const T* qkv;
  int64_t qkv_stride, out_stride, cos_stride, sin_stride, table_stride, page_stride;  // elements
  int num_heads, num_kv_heads, group, half;                                           // half: rotary_dim / 2
  const float *q_norm, *k_norm, *cos, *sin;
  float eps, scale, softcap;
  int window;  // 0 = none
  T *k, *v;    // the layer's areas in page 0
  int block_size, columns;
  const int64_t* slot_mapping;
  const int32_t *block_table, *seq_lens;
};

/// A head of the new token, over a warp: pairs of dimensions that rotate together.
template <typename T, int kHeadDim>
struct DecodeHead {
  static constexpr int kPairs = kHeadDim / 64;  // of a lane
  int low, high;                                // first dimension of the pairs' halves
  bool turns;
  float x[kPairs], y[kPairs], norm_x[kPairs], norm_y[kPairs], cos[kPairs], sin[kPairs];

  __device__ __forceinline__ DecodeHead(int lane, int half) {
    const int i = lane * kPairs;
    turns = i < half;
    low = turns ? i : half + i, high = turns ? i + half : i + kHeadDim / 2;
  }
  __device__ __forceinline__ void load_norm(const float* weight) {
#pragma unroll
    for (int j = 0; j < kPairs; ++j) {
      norm_x[j] = weight ? weight[low + j] : 1.f, norm_y[j] = weight ? weight[high + j] : 1.f;
    }
  }
  __device__ __forceinline__ void load(const T* head, const float* cos_row, const float* sin_row) {
    const Vec<T, kPairs> a = *reinterpret_cast<const Vec<T, kPairs>*>(head + low);
    const Vec<T, kPairs> b = *reinterpret_cast<const Vec<T, kPairs>*>(head + high);
#pragma unroll
    for (int j = 0; j < kPairs; ++j) {
      x[j] = to_float(a[j]), y[j] = to_float(b[j]);
      cos[j] = turns ? cos_row[low + j] : 1.f, sin[j] = turns ? sin_row[low + j] : 0.f;
    }
  }
  __device__ __forceinline__ void finish(bool norm, float eps) {
    if (norm) {  // the same for the whole warp
      float squares = 0;
#pragma unroll
      for (int j = 0; j < kPairs; ++j) squares += x[j] * x[j] + y[j] * y[j];
#pragma unroll
      for (int i = 16; i > 0; i /= 2) squares += __shfl_xor_sync(0xffffffffu, squares, i);
      const float scale = 1.f / sqrtf(squares / kHeadDim + eps);
#pragma unroll
      for (int j = 0; j < kPairs; ++j) x[j] *= scale * norm_x[j], y[j] *= scale * norm_y[j];
    }
#pragma unroll
    for (int j = 0; j < kPairs; ++j) {
      const float turned = x[j] * cos[j] - y[j] * sin[j];
      y[j] = y[j] * cos[j] + x[j] * sin[j];
      x[j] = turned;
    }
  }
  __device__ __forceinline__ void store(T* head) const {
    Vec<T, kPairs> a, b;
#pragma unroll
    for (int j = 0; j < kPairs; ++j) a[j] = from_float<T>(x[j]), b[j] = from_float<T>(y[j]);
    *reinterpret_cast<Vec<T, kPairs>*>(head + low) = a;
    *reinterpret_cast<Vec<T, kPairs>*>(head + high) = b;
  }
};

template <typename T, int kHeadDim>
struct DecodeShared {
  static constexpr int kQRow = kHeadDim + 32, kOutRow = kHeadDim + 4;  // padded: fewer bank conflicts
  alignas(16) T q[kDecodeGroup][kQRow];                                // rows behind the group are zero
  alignas(16) T fresh[2][kHeadDim];                                    // the new key and value
  alignas(16) float part[kDecodeWarps][kDecodeGroup][kOutRow];
  float2 part_ml[kDecodeWarps][kDecodeGroup];  // highest score (base 2) and sum of weights
  float joined[kDecodeGroup * kHeadDim];       // what the cluster's blocks pushed here, block by block
  float2 joined_ml[kDecodeBlocks][kDecodeGroup];
};

/// A tile of keys and values in registers, and the state of the online softmax of a warp.
template <typename T, int kHeadDim>
struct DecodeWarp {
  static constexpr int kK = kHeadDim / 32, kV = kHeadDim / 64;
  uint32_t k[2][kK][4];  // keys g and g + 8; dimensions 32 j + 8 c ...
  uint32_t v[4][kV][4];  // keys 2 c, 2 c + 1, 2 c + 8, 2 c + 9; dimensions 64 j + 8 g ...
  float o[kHeadDim / 16][4];
  float m[2], l[2];  // of heads 2 c and 2 c + 1; l of this lane's keys only
  int g, c;          // lane = 4 g + c

  __device__ __forceinline__ explicit DecodeWarp(int lane) : g(lane / 4), c(lane % 4) {
#pragma unroll
    for (int i = 0; i < kHeadDim / 16; ++i) o[i][0] = o[i][1] = o[i][2] = o[i][3] = 0;
    m[0] = m[1] = -INFINITY, l[0] = l[1] = 0;
  }
  __device__ __forceinline__ static int v_key(int c, int i) { return 2 * c + (i & 1) + 8 * (i >> 1); }
  /// Keys [low, high) of the 16 at `tile`; the others are not read, and zero.
  __device__ __forceinline__ void load_k(const T* tile, int low, int high) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const int key = g + 8 * h;
#pragma unroll
      for (int j = 0; j < kK; ++j)
        load_stream(k[h][j], tile + key * kHeadDim + 32 * j + 8 * c, key >= low && key < high);
    }
  }
  __device__ __forceinline__ void load_v(const T* tile, int low, int high) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int key = v_key(c, i);
#pragma unroll
      for (int j = 0; j < kV; ++j)
        load_stream(v[i][j], tile + key * kHeadDim + 64 * j + 8 * g, key >= low && key < high);
    }
  }
  /// A whole tile's keys in shared memory, rows of kHeadDim; what rows behind the tile's keys hold does not matter.
  __device__ __forceinline__ void take_k(const T* tile) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
#pragma unroll
      for (int j = 0; j < kK; ++j) load_shared(k[h][j], tile + (g + 8 * h) * kHeadDim + 32 * j + 8 * c, true);
    }
  }
  /// Values of keys [low, high) in shared memory; the others are zero.
  __device__ __forceinline__ void take_v(const T* tile, int low, int high) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int key = v_key(c, i);
#pragma unroll
      for (int j = 0; j < kV; ++j)
        load_shared(v[i][j], tile + key * kHeadDim + 64 * j + 8 * g, key >= low && key < high);
    }
  }
  /// One key, as key 0 of a tile, from shared memory.
  __device__ __forceinline__ void load_fresh(const T (&fresh)[2][kHeadDim]) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
#pragma unroll
      for (int j = 0; j < kK; ++j) load_shared(k[h][j], fresh[0] + 32 * j + 8 * c, h == 0 && g == 0);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
#pragma unroll
      for (int j = 0; j < kV; ++j) load_shared(v[i][j], fresh[1] + 64 * j + 8 * g, i == 0 && c == 0);
    }
  }
  /// s: keys g (0, 1) and g + 8 (2, 3) of heads 2 c (0, 2) and 2 c + 1 (1, 3).
  __device__ __forceinline__ void scores(float (&s)[4], const T* q_row) const {
    float odd[4] = {};
    s[0] = s[1] = s[2] = s[3] = 0;
#pragma unroll
    for (int j = 0; j < kK; ++j) {
      const uint4 q = *reinterpret_cast<const uint4*>(q_row + 32 * j + 8 * c);
      mma<T>(s, k[0][j][0], k[1][j][0], k[0][j][1], k[1][j][1], q.x, q.y);
      mma<T>(odd, k[0][j][2], k[1][j][2], k[0][j][3], k[1][j][3], q.z, q.w);
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) s[i] += odd[i];
  }
  /// Add the values, weighted by scores in base 2 (-inf: masked; each tile has a key that is not).
  __device__ __forceinline__ void add(const float (&s)[4]) {
    float p[4];
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float top = fmaxf(s[h], s[h + 2]);
#pragma unroll
      for (int i = 4; i < 32; i *= 2) top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, i));
      top = fmaxf(top, m[h]);
      const float keep = exp2_approx(m[h] - top);
      m[h] = top;
      p[h] = exp2_approx(s[h] - top), p[h + 2] = exp2_approx(s[h + 2] - top);
      l[h] = l[h] * keep + p[h] + p[h + 2];
#pragma unroll
      for (int i = 0; i < kHeadDim / 16; ++i) o[i][h] *= keep, o[i][h + 2] *= keep;
    }
    const uint32_t b0 = transpose_8x8(pack2<T>(p[0], p[1])), b1 = transpose_8x8(pack2<T>(p[2], p[3]));
#pragma unroll
    for (int j = 0; j < kV; ++j) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {  // dimensions 64 j + 8 g + 2 i (row g) and one more (row g + 8)
        mma<T>(o[4 * j + i], __byte_perm(v[0][j][i], v[1][j][i], 0x5410), __byte_perm(v[0][j][i], v[1][j][i], 0x7632),
               __byte_perm(v[2][j][i], v[3][j][i], 0x5410), __byte_perm(v[2][j][i], v[3][j][i], 0x7632), b0, b1);
      }
    }
  }
  /// Leave the warp's part in shared memory.
  template <int kOutRow>
  __device__ __forceinline__ void store(float (&part)[kDecodeGroup][kOutRow], float2 (&ml)[kDecodeGroup], int group) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
#pragma unroll
      for (int i = 4; i < 32; i *= 2) l[h] += __shfl_xor_sync(0xffffffffu, l[h], i);
      const int row = 2 * c + h;
      if (g == 0) ml[row] = make_float2(m[h], l[h]);
      if (row >= group || m[h] == -INFINITY) continue;
#pragma unroll
      for (int j = 0; j < kV; ++j) {
        float4* to = reinterpret_cast<float4*>(part[row] + 64 * j + 8 * g);
        to[0] = make_float4(o[4 * j][h], o[4 * j][h + 2], o[4 * j + 1][h], o[4 * j + 1][h + 2]);
        to[1] = make_float4(o[4 * j + 2][h], o[4 * j + 2][h + 2], o[4 * j + 3][h], o[4 * j + 3][h + 2]);
      }
    }
  }
};

/// Parts with highest scores and sums ml[i], values at value(i): their joint highest score, sum, and value.
template <int kStride, typename Value>
__device__ __forceinline__ float3 join_parts(const float2* ml, int count, Value&& value) {
  float top = -INFINITY, sum = 0, out = 0;
  for (int i = 0; i < count; ++i) top = fmaxf(top, ml[i * kStride].x);
  for (int i = 0; i < count; ++i) {
    const float2 part = ml[i * kStride];
    if (part.x == -INFINITY) continue;  // saw no key: its values are not set
    const float weight = exp2_approx(part.x - top);
    sum += weight * part.y, out += weight * value(i);
  }
  return make_float3(top, sum, out);
}

/// The heads that a block makes: the group's, and in a sequence's last block the new key and value. Over its warps.
template <int kWarps, typename T, int kHeadDim>
struct DecodeItems {
  const DecodeAttentionArgs<T>& a;
  const int kv_head, warp, count;
  DecodeHead<T, kHeadDim> head;
  const T* row = nullptr;
  const float *cos = nullptr, *sin = nullptr;
  int64_t slot = -1;

  /// Reads nothing that an earlier kernel writes.
  __device__ __forceinline__ DecodeItems(const DecodeAttentionArgs<T>& args, int kv_head, int warp, int lane, bool last)
      : a(args), kv_head(kv_head), warp(warp), count(args.group + (last ? 2 : 0)), head(lane, args.half) {
    if (warp < count) head.load_norm(norm_of(warp));
  }
  __device__ __forceinline__ const float* norm_of(int item) const {
    return item < a.group ? a.q_norm : item == a.group ? a.k_norm : nullptr;
  }
  __device__ __forceinline__ void load(int item) {
    const int at =
        item < a.group ? kv_head * a.group + item : a.num_heads + (item - a.group) * a.num_kv_heads + kv_head;
    head.load(row + int64_t{at} * kHeadDim, cos, sin);
  }
  __device__ __forceinline__ void start(int seq) {
    row = a.qkv + seq * a.qkv_stride, cos = a.cos + seq * a.cos_stride, sin = a.sin + seq * a.sin_stride;
    if (warp < count) load(warp);
    if (count > a.group) slot = a.slot_mapping[seq];
  }
  template <int kRow>
  __device__ __forceinline__ void finish(T (&q)[kDecodeGroup][kRow], T (&fresh)[2][kHeadDim]) {
    for (int item = warp; item < count; item += kWarps) {
      if (item != warp) head.load_norm(norm_of(item)), load(item);
      if (item <= a.group) head.finish(norm_of(item) != nullptr, a.eps);
      head.store(item < a.group ? q[item] : fresh[item - a.group]);
      if (item >= a.group && slot >= a.block_size) {
        const unsigned page = static_cast<unsigned>(slot) / static_cast<unsigned>(a.block_size);
        const unsigned in_page = static_cast<unsigned>(slot) % static_cast<unsigned>(a.block_size);
        head.store((item == a.group ? a.k : a.v) + page * a.page_stride +
                   (int64_t{kv_head} * a.block_size + in_page) * kHeadDim);
      }
    }
  }
};

/// Scores in base 2 of the keys [low, high) of a tile; -inf for the others.
template <typename T>
__device__ __forceinline__ void finish_scores(const DecodeAttentionArgs<T>& a, float (&s)[4], int g, int low,
                                              int high) {
  constexpr float kLog2e = 1.4426950408889634f;
  const float scale = a.softcap > 0 ? a.scale / a.softcap : a.scale * kLog2e;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int key = g + 8 * (i / 2);
    s[i] *= scale;
    if (a.softcap > 0) s[i] = a.softcap * kLog2e * (1.f - 2.f / (__expf(2.f * s[i]) + 1.f));
    if (key < low || key >= high) s[i] = -INFINITY;
  }
}

/// Join the parts of the block's warps (value(p, head, dimension)), then those of the cluster's blocks, into `out`.
template <int kWarps, int kHeadDim, typename T, typename Value>
__device__ __forceinline__ void join_block(const DecodeAttentionArgs<T>& a, int seq, int kv_head, int rank, int ranks,
                                           const float2 (*part_ml)[kDecodeGroup], Value&& value, float* joined,
                                           float2 (*joined_ml)[kDecodeGroup]) {
  const int thread = static_cast<int>(threadIdx.x);
  T* out = a.out + seq * a.out_stride + int64_t{kv_head} * a.group * kHeadDim;
  const int values = a.group * kHeadDim, share = values / ranks;  // values that a block of the cluster writes
  if (ranks > 1) cluster_wait();                                  // the others run: their shared memory may be written
  for (int i = thread; i < values; i += 32 * kWarps) {
    const int r = i / kHeadDim, d = i % kHeadDim;
    const float3 part = join_parts<kDecodeGroup>(&part_ml[0][r], kWarps, [&](int p) { return value(p, r, d); });
    if (ranks == 1) {
      out[i] = from_float<T>(part.z / part.y);
      continue;
    }
    const int owner = i / share;
    store_remote(&joined[rank * share + i - owner * share], owner, part.z);
    if (d < ranks) store_remote(&joined_ml[rank][r], d, make_float2(part.x, part.y));
  }
  if (ranks == 1) return;
  cluster_arrive();
  cluster_wait();
  for (int i = thread; i < share; i += 32 * kWarps) {
    const int r = (rank * share + i) / kHeadDim;
    const float3 whole =
        join_parts<kDecodeGroup>(&joined_ml[0][r], ranks, [&](int p) { return joined[p * share + i]; });
    out[rank * share + i] = from_float<T>(whole.z / whole.y);
  }
}

/// grid: blocks of a cluster, KV heads, sequences.
template <typename T, int kHeadDim>
__global__ void __launch_bounds__(kDecodeThreads, 2)
    decode_attention(const __grid_constant__ DecodeAttentionArgs<T> a) {
  __shared__ DecodeShared<T, kHeadDim> sh;
  pdl_launch();
  const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
  const int rank = static_cast<int>(blockIdx.x), ranks = static_cast<int>(gridDim.x);
  const int kv_head = static_cast<int>(blockIdx.y), seq = static_cast<int>(blockIdx.z);
  const bool is_last = rank == ranks - 1;
  DecodeItems<kDecodeWarps, T, kHeadDim> items(a, kv_head, warp, lane, is_last);
  for (int i = a.group * sh.kQRow + thread; i < kDecodeGroup * sh.kQRow; i += kDecodeThreads) {
    sh.q[0][i] = from_float<T>(0.f);
  }

  // The batch and the keys in the cache were there before this step's first layer: their way here needs no wait.
  const int num_keys = a.seq_lens[seq];
  const int32_t* table = a.block_table + seq * a.table_stride;
  const unsigned tiles_of_page = static_cast<unsigned>(a.block_size) / kDecodeTile;
  auto page_of = [&](int tile) {  // entries behind the sequence may hold anything, and are not used
    const int column = static_cast<int>(static_cast<unsigned>(tile) / tiles_of_page);
    return column < a.columns ? table[column] : 0;
  };
  const int first = a.window > 0 ? max(0, num_keys - a.window) : 0, step = ranks * kDecodeWarps;
  int tile = first / kDecodeTile + warp * ranks + rank;
  int32_t page = page_of(tile), next_page = page_of(tile + step);
  const int num_old = first < num_keys - 1 ? num_keys - 1 : 0;  // end of the keys in the cache; 0: none is seen
  DecodeWarp<T, kHeadDim> w(lane);
  auto offset_of = [&](int t, int32_t p) {
    return p * a.page_stride +
           (int64_t{kv_head} * a.block_size + static_cast<unsigned>(t) % tiles_of_page * kDecodeTile) * kHeadDim;
  };
  auto in_tile = [&](int key, int t) { return key - t * kDecodeTile; };
  if (in_tile(num_old, tile) > 0) {
    const int64_t offset = offset_of(tile, page);
    w.load_k(a.k + offset, in_tile(first, tile), in_tile(num_old, tile));
    w.load_v(a.v + offset, in_tile(first, tile), in_tile(num_old, tile));
  }
  pdl_wait();
  if (num_keys <= 0) return;  // padding; the whole cluster
  items.start(seq);
  if (ranks > 1) cluster_arrive_relaxed();
  items.finish(sh.q, sh.fresh);
  __syncthreads();

  bool fresh = is_last && warp == kDecodeWarps - 1;
  while (true) {
    int low = in_tile(first, tile), high = in_tile(num_old, tile);
    if (high <= 0) {
      if (!fresh) break;
      fresh = false, low = 0, high = 1;
      w.load_fresh(sh.fresh);
    }
    float s[4];
    w.scores(s, sh.q[w.g]);
    tile += step, page = next_page, next_page = page_of(tile + step);
    const int next_high = in_tile(num_old, tile);
    const int64_t offset = next_high > 0 ? offset_of(tile, page) : 0;
    if (next_high > 0) w.load_k(a.k + offset, 0, next_high);
    finish_scores(a, s, w.g, low, high);
    w.add(s);
    if (next_high > 0) w.load_v(a.v + offset, 0, next_high);
  }
  w.store(sh.part[warp], sh.part_ml[warp], a.group);
  __syncthreads();
  join_block<kDecodeWarps, kHeadDim>(
      a, seq, kv_head, rank, ranks, sh.part_ml, [&](int p, int r, int d) { return sh.part[p][r][d]; }, sh.joined,
      sh.joined_ml);
}

}  // namespace vllm
