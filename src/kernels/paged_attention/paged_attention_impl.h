#pragma once
// One task of attention, compiled once per ISA. Row r = query r / group, head r % group.
#include "kernels/paged_attention/attention_task.h"
#include "kernels/simd/vec_math.h"

namespace vllm {

template <class V>
struct Attend {
  static constexpr int64_t kTile = kAttentionTileKeys, kW = V::kWidth, kVecs = kTile / kW;
  const AttentionTask& t;
  const int64_t head_dim = t.kv->head_dim, padded = padded_head_dim(head_dim), rows = t.num_queries * t.group;
  float* const keys = t.scratch;                   // [head_dim][kTile]
  float* const values = keys + padded * kTile;     // [kTile][padded]
  float* const weights = values + padded * kTile;  // [rows][kTile] scores, then e^(score - highest)
  float* const highest = weights + rows * kTile;   // [rows]
  float* const total = highest + rows;             // [rows]
  float* const sums = total + rows;                // [rows][padded]

  int64_t position(int64_t row) const { return t.position + row / t.group; }
  int64_t first_key(int64_t row) const {
    int64_t first = position(row) - t.sliding_window + 1;
    return t.sliding_window > 0 && first > 0 ? first : 0;
  }
  const float* query(int64_t row) const { return t.q + row / t.group * t.q_stride + row % t.group * head_dim; }

  template <typename T>
  static void widen(float* out, const T* in, int64_t n) {
    int64_t i = 0;
    for (; i + kW <= n; i += kW) V::load(in + i).store(out + i);
    for (; i < n; ++i) out[i] = widen_one(in[i]);
  }
  static float widen_one(float x) { return x; }
  static float widen_one(BFloat16 x) { return __builtin_bit_cast(float, static_cast<uint32_t>(x.bits) << 16); }
  static float widen_one(Float16 x) {
    Float16 padded_input[16] = {x};
    float wide[16];
    V::load(padded_input).store(wide);
    return wide[0];
  }

  /// Copy keys [first, end) of the tile that starts at position `tile_start`, as float32.
  template <typename T>
  void load_tile(int64_t tile_start, int64_t first, int64_t end) const {
    const KvLayerView& kv = *t.kv;
    int64_t block_size = kv.block_size;
    for (int64_t j = first; j < end;) {
      int64_t offset = j % block_size, run = block_size - offset < end - j ? block_size - offset : end - j;
      int64_t block = t.block_table[j / block_size];
      const int64_t head = t.kv_head * head_dim * block_size, bytes = block * kv.page_bytes;
      const T* k = reinterpret_cast<const T*>(kv.base + bytes + kv.k_offset) + head + offset;
      const T* v = reinterpret_cast<const T*>(kv.base + bytes + kv.v_offset) + head + offset * head_dim;
      for (int64_t d = 0; d < head_dim; ++d) widen(keys + d * kTile + j - tile_start, k + d * block_size, run);
      for (int64_t i = 0; i < run; ++i) widen(values + (j - tile_start + i) * padded, v + i * head_dim, head_dim);
      j += run;
    }
  }

  /// Scores of N rows from `row` on against the whole tile (lanes without a key are masked later): even and odd
  /// dimensions in two sums, each in order.
  template <int N>
  void score_rows(int64_t row) const {
    V even[N][kVecs], odd[N][kVecs];
    const float* q[N];
    for (int r = 0; r < N; ++r) {
      q[r] = query(row + r);
      for (int c = 0; c < kVecs; ++c) even[r][c] = odd[r][c] = V::zero();
    }
    for (int64_t d = 0; d < head_dim; d += 2) {
      for (int c = 0; c < kVecs; ++c) {
        V k0 = V::load(keys + d * kTile + c * kW), k1 = V::load(keys + (d + 1) * kTile + c * kW);
        for (int r = 0; r < N; ++r) {
          even[r][c] = fma(V::set1(q[r][d]), k0, even[r][c]);
          odd[r][c] = fma(V::set1(q[r][d + 1]), k1, odd[r][c]);
        }
      }
    }
    for (int r = 0; r < N; ++r) {
      for (int c = 0; c < kVecs; ++c) {
        V s = (even[r][c] + odd[r][c]) * V::set1(t.scale);
        if (t.softcap > 0) s = V::set1(t.softcap) * vec_tanh(s / V::set1(t.softcap));
        s.store(weights + (row + r) * kTile + c * kW);
      }
    }
  }

  /// Lanes [begin, end) of the tile hold keys of this row: turn its scores into weights and rescale what it has so far.
  void soften(int64_t row, int64_t begin, int64_t end) const {
    float* w = weights + row * kTile;
    for (int64_t j = 0; j < begin; ++j) w[j] = -__builtin_inff();
    for (int64_t j = end; j < kTile; ++j) w[j] = -__builtin_inff();
    V top = V::load(w);
    for (int c = 1; c < kVecs; ++c) top = max(top, V::load(w + c * kW));
    float tile_top = reduce_max(top), old_top = highest[row];
    float new_top = tile_top > old_top ? tile_top : old_top;
    V sum = V::zero();
    for (int c = 0; c < kVecs; ++c) {
      V e = vec_exp(V::load(w + c * kW) - V::set1(new_top));
      e.store(w + c * kW);
      sum = sum + e;
    }
    V shrink = vec_exp(V::set1(old_top - new_top));
    float factor[kW];
    shrink.store(factor);
    total[row] = total[row] * factor[0] + reduce_add(sum);
    highest[row] = new_top;
    if (factor[0] == 1.0f) return;  // multiplying by 1 changes nothing
    for (int64_t d = 0; d < padded; d += kW) (V::load(sums + row * padded + d) * shrink).store(sums + row * padded + d);
  }

  /// sums[row..row+N) += weights x values over lanes [begin, end), key by key.
  template <int N>
  void add_values(int64_t row, int64_t begin, int64_t end) const {
    constexpr int kChunk = N == 1 ? 4 : 2;
    int64_t d = 0;
    for (; d + kChunk * kW <= padded; d += kChunk * kW) add_columns<N, kChunk>(row, begin, end, d);
    for (; d < padded; d += kW) add_columns<N, 1>(row, begin, end, d);
  }
  template <int N, int C>
  void add_columns(int64_t row, int64_t begin, int64_t end, int64_t d) const {
    V sum[N][C];
    for (int r = 0; r < N; ++r) {
      for (int c = 0; c < C; ++c) sum[r][c] = V::load(sums + (row + r) * padded + d + c * kW);
    }
    for (int64_t j = begin; j < end; ++j) {
      V v[C];
      for (int c = 0; c < C; ++c) v[c] = V::load(values + j * padded + d + c * kW);
      for (int r = 0; r < N; ++r) {
        V w = V::set1(weights[(row + r) * kTile + j]);
        for (int c = 0; c < C; ++c) sum[r][c] = fma(w, v[c], sum[r][c]);
      }
    }
    for (int r = 0; r < N; ++r) {
      for (int c = 0; c < C; ++c) sum[r][c].store(sums + (row + r) * padded + d + c * kW);
    }
  }

  void run_tile(int64_t start) const {
    int64_t last_key = position(rows - 1) + 1, first_needed = first_key(0);
    int64_t first = first_needed > start ? first_needed : start,
            end = last_key < start + kTile ? last_key : start + kTile;
    switch (t.kv->dtype) {
      case DType::kBFloat16: load_tile<BFloat16>(start, first, end); break;
      case DType::kFloat16: load_tile<Float16>(start, first, end); break;
      default: load_tile<float>(start, first, end); break;
    }
    constexpr int kBlock = kW == 16 ? 4 : 1;
    int64_t row = 0;
    for (; row + kBlock <= rows; row += kBlock) score_rows<kBlock>(row);
    for (; row < rows; ++row) score_rows<1>(row);
    bool whole = first_key(rows - 1) <= start && position(0) + 1 >= start + kTile;  // every row sees the whole tile
    for (row = 0; row < rows; ++row) {
      int64_t begin = first_key(row) - start, stop = position(row) + 1 - start;
      if (begin < 0) begin = 0;
      if (stop > kTile) stop = kTile;
      if (begin >= stop) continue;
      soften(row, begin, stop);
      if (!whole) add_values<1>(row, begin, stop);
    }
    if (!whole) return;
    for (row = 0; row + kBlock <= rows; row += kBlock) add_values<kBlock>(row, 0, kTile);
    for (; row < rows; ++row) add_values<1>(row, 0, kTile);
  }

  void run() const {
    for (int64_t i = 0; i < 2 * padded * kTile; ++i) keys[i] = 0;  // lanes without a key stay plain numbers
    for (int64_t r = 0; r < rows; ++r) highest[r] = -__builtin_inff(), total[r] = 0;
    for (int64_t i = 0; i < rows * padded; ++i) sums[i] = 0;
    for (int64_t start = first_key(0) / kTile * kTile; start <= position(rows - 1); start += kTile) run_tile(start);
    for (int64_t r = 0; r < rows; ++r) {
      float* out = t.out + r / t.group * t.out_stride + r % t.group * head_dim;
      V scale = V::set1(1.0f / total[r]);
      for (int64_t d = 0; d < head_dim; d += kW) {
        V x = V::load(sums + r * padded + d) * scale;
        if (d + kW <= head_dim)
          x.store(out + d);
        else
          x.store_n(out + d, head_dim - d);
      }
    }
  }
};

}  // namespace vllm
