#pragma once
// One task of attention, compiled once per ISA. Row r = query r / group, head r % group.
#include "kernels/kv_layout/kv_scales.h"
#include "kernels/paged_attention/attend_one_query.h"
#include "kernels/paged_attention/attention_task.h"
#include "kernels/simd/unroll.h"
#include "kernels/simd/vec_math.h"
#include "tensor/float8.h"  // what a cache of kUInt8 holds

namespace vllm {

template <class V>
struct Attend {
  static constexpr int64_t kTile = kAttentionTileKeys, kSpan = kAttentionSpanKeys;
  static constexpr int64_t kW = V::kWidth, kVecs = kTile / kW;
  // A block of sums in registers: rows x vectors of keys, or rows x vectors of dimensions.
  static constexpr int kRows = 4, kColumns = kW == 16 ? 4 : 2;
  const AttentionTask& t;
  const int64_t head_dim = t.kv->head_dim, padded = padded_head_dim(head_dim), rows = t.num_queries * t.group;
  float* const key_scales = t.scratch;             // [kTile] t.scale, times the key's own in an int8 cache
  float* const value_scales = key_scales + kTile;  // [kTile] of an int8 cache
  float* const keys = value_scales + kTile;        // [head_dim][kTile]
  float* const values = keys + 2 * padded_pairs(head_dim) * kTile;  // [kTile][padded]
  float* const weights = values + padded * kTile;                   // [rows][kTile] scores, then e^(score - highest)
  float* const merged = weights + rows * kTile;                     // the state of the spans before this one
  // The state of this span (see attention_state_floats).
  float* const highest =
      t.part == AttentionTask::Part::kSpan ? t.states : merged + attention_state_floats(head_dim, rows);
  float* const total = highest + rows;  // [rows]
  float* const sums = total + rows;     // [rows][padded]

  int64_t position(int64_t row) const { return t.position + row / t.group; }
  int64_t first_key(int64_t row) const { return first_attended_key(position(row), t.sliding_window); }
  const float* query(int64_t row) const { return t.q + row / t.group * t.q_stride + row % t.group * head_dim; }

  template <typename T>
  static void widen(float* out, const T* in, int64_t n) {
    int64_t i = 0;
    for (; i + kW <= n; i += kW) V::load(in + i).store(out + i);
    for (; i < n; ++i) out[i] = widen_one(in[i]);
  }
  static float widen_one(float x) { return x; }
  static float widen_one(BFloat16 x) { return __builtin_bit_cast(float, static_cast<uint32_t>(x.bits) << 16); }
  template <typename T>
  static float widen_one(T x) {
    T padded_input[16] = {x};
    float wide[16];
    V::load(padded_input).store(wide);
    return wide[0];
  }

  /// This task's head in the page of position j.
  template <typename T>
  const T* area(int64_t j, int64_t offset) const {
    const KvLayerView& kv = *t.kv;
    const int64_t block = t.block_table[j / kv.block_size];
    return reinterpret_cast<const T*>(kv.base + block * kv.page_bytes + offset) + t.kv_head * head_dim * kv.block_size;
  }
  /// Dimension 0 of the key of position j, and of its value.
  template <typename T>
  const T* key_area(int64_t j) const {
    return area<T>(j, t.kv->k_offset) + j % t.kv->block_size;
  }
  template <typename T>
  const T* value_area(int64_t j) const {
    return area<T>(j, t.kv->v_offset) + j % t.kv->block_size * head_dim;
  }

  /// Copy keys [first, end) of the tile that starts at position `tile_start`, as float32. Asks for those of the next
  /// tile, up to position `last`: a page has only some KB of one head, too short a run for the CPU's own prefetching.
  template <typename T>
  void load_tile(int64_t tile_start, int64_t first, int64_t end, int64_t last) const {
    const KvLayerView& kv = *t.kv;
    const int64_t block_size = kv.block_size, line = 64 / static_cast<int64_t>(sizeof(T));
    for (int64_t j = first; j < end;) {
      int64_t offset = j % block_size, run = block_size - offset < end - j ? block_size - offset : end - j;
      const T *k = key_area<T>(j), *v = value_area<T>(j);
      const int64_t later = j + kTile <= last ? j + kTile : j;
      const T *next_k = key_area<T>(later), *next_v = value_area<T>(later);
      for (int64_t d = 0; d < head_dim; ++d) {
        for (int64_t i = 0; i < run; i += line) __builtin_prefetch(next_k + d * block_size + i);
        widen(keys + d * kTile + j - tile_start, k + d * block_size, run);
      }
      for (int64_t i = 0; i < run; ++i) {
        for (int64_t d = 0; d < head_dim; d += line) __builtin_prefetch(next_v + i * head_dim + d);
        widen(values + (j - tile_start + i) * padded, v + i * head_dim, head_dim);
      }
      j += run;
    }
  }

  /// The scales of an int8 cache's tile; 0 where it has no key [first, end), so that nothing there becomes a NaN.
  void load_scales(int64_t start, int64_t first, int64_t end) const {
    const KvLayerView& kv = *t.kv;
    for (int64_t lane = 0; lane < kTile; ++lane) {
      const int64_t j = start + lane;
      const bool has_key = j >= first && j < end;
      const int64_t block = has_key ? t.block_table[j / kv.block_size] : 0, offset = j % kv.block_size;
      key_scales[lane] = has_key ? t.scale * k_scales(kv, block, t.kv_head)[offset] : 0;
      value_scales[lane] = has_key ? v_scales(kv, block, t.kv_head)[offset] : 0;
    }
  }

  /// Of the keys at `lane` and beside it.
  V finish_score(V sum, int64_t lane) const {
    const V s = sum * V::load(key_scales + lane);
    return t.softcap > 0 ? V::set1(t.softcap) * vec_tanh(s / V::set1(t.softcap)) : s;
  }

  /// Scores of N rows from `row` on against the whole tile (lanes without a key are masked later), dimension by
  /// dimension.
  template <int N>
  void score_rows(int64_t row) const {
    const float* q[N];
    VLLM_UNROLL for (int r = 0; r < N; ++r) q[r] = query(row + r);
    for (int64_t first = 0; first < kTile; first += kColumns * kW) {
      V sum[N][kColumns];
      VLLM_UNROLL for (int r = 0; r < N; ++r) { VLLM_UNROLL for (int c = 0; c < kColumns; ++c) sum[r][c] = V::zero(); }
      const float* k = keys + first;
      for (int64_t d = 0; d < head_dim; ++d, k += kTile) {
        V key[kColumns];
        VLLM_UNROLL for (int c = 0; c < kColumns; ++c) key[c] = V::load(k + c * kW);
        VLLM_UNROLL for (int r = 0; r < N; ++r) {
          const V x = V::set1(q[r][d]);
          VLLM_UNROLL for (int c = 0; c < kColumns; ++c) sum[r][c] = fma(x, key[c], sum[r][c]);
        }
      }
      VLLM_UNROLL for (int r = 0; r < N; ++r) {
        VLLM_UNROLL for (int c = 0; c < kColumns; ++c) {
          finish_score(sum[r][c], first + c * kW).store(weights + (row + r) * kTile + first + c * kW);
        }
      }
    }
  }
  template <int N>
  void score_from(int64_t row) const {
    for (; row + N <= rows; row += N) score_rows<N>(row);
    if constexpr (N > 1) score_from<N / 2>(row);
  }

  /// Lanes [begin, end) of the tile hold keys of this row: turn its scores into weights and rescale what it has so far.
  void soften(int64_t row, int64_t begin, int64_t end) const {
    float* w = weights + row * kTile;
    for (int64_t j = 0; j < begin; ++j) w[j] = -__builtin_inff();
    for (int64_t j = end; j < kTile; ++j) w[j] = -__builtin_inff();
    V top = V::load(w);
    VLLM_UNROLL for (int c = 1; c < kVecs; ++c) top = max(top, V::load(w + c * kW));
    const bool scaled = t.kv->dtype == kKvInt8;
    float tile_top = reduce_max(top), old_top = highest[row];
    float new_top = tile_top > old_top ? tile_top : old_top;
    V sum = V::zero();
    VLLM_UNROLL for (int c = 0; c < kVecs; ++c) {
      V e = vec_exp(V::load(w + c * kW) - V::set1(new_top));
      (scaled ? e * V::load(value_scales + c * kW) : e).store(w + c * kW);
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
    int64_t d = 0;
    for (; d + kColumns * kW <= padded; d += kColumns * kW) add_columns<N, kColumns>(row, begin, end, d);
    for (; d < padded; d += kW) add_columns<N, 1>(row, begin, end, d);
  }
  template <int N, int C>
  void add_columns(int64_t row, int64_t begin, int64_t end, int64_t d) const {
    V sum[N][C];
    VLLM_UNROLL for (int r = 0; r < N; ++r) {
      VLLM_UNROLL for (int c = 0; c < C; ++c) sum[r][c] = V::load(sums + (row + r) * padded + d + c * kW);
    }
    const float *v = values + begin * padded + d, *w = weights + row * kTile;
    for (int64_t j = begin; j < end; ++j, v += padded) {
      V value[C];
      VLLM_UNROLL for (int c = 0; c < C; ++c) value[c] = V::load(v + c * kW);
      VLLM_UNROLL for (int r = 0; r < N; ++r) {
        const V x = V::set1(w[r * kTile + j]);
        VLLM_UNROLL for (int c = 0; c < C; ++c) sum[r][c] = fma(x, value[c], sum[r][c]);
      }
    }
    VLLM_UNROLL for (int r = 0; r < N; ++r) {
      VLLM_UNROLL for (int c = 0; c < C; ++c) sum[r][c].store(sums + (row + r) * padded + d + c * kW);
    }
  }
  template <int N>
  void add_values_from(int64_t row, int64_t begin, int64_t end) const {
    for (; row + N <= rows; row += N) add_values<N>(row, begin, end);
    if constexpr (N > 1) add_values_from<N / 2>(row, begin, end);
  }

  /// Lanes that hold no key of this tile stay plain numbers: they are scored like the others.
  void clear_lanes(int64_t begin, int64_t end) const {
    for (int64_t d = 0; begin < end && d < head_dim; ++d) {
      for (int64_t j = begin; j < end; ++j) keys[d * kTile + j] = 0;
    }
  }

  struct Lanes {
    int64_t begin, end;
  };
  /// Those of the tile whose keys a row sees.
  Lanes lanes(int64_t row, int64_t start) const {
    int64_t begin = first_key(row) - start, end = position(row) + 1 - start;
    return {begin < 0 ? 0 : begin, end > kTile ? kTile : end};
  }

  /// The tile's keys are [first, end); the next ones are asked for up to `last`.
  void run_tile(int64_t start, int64_t first, int64_t end, int64_t last) const {
    switch (t.kv->dtype) {
      case DType::kBFloat16: return run_tile_of<BFloat16>(start, first, end, last);
      case DType::kFloat16: return run_tile_of<Float16>(start, first, end, last);
      case DType::kUInt8: return run_tile_of<Float8>(start, first, end, last);
      case kKvInt8: return run_tile_of<int8_t>(start, first, end, last);
      default: return run_tile_of<float>(start, first, end, last);
    }
  }

  /// One query of N heads or fewer; false if there are more.
  template <typename T, int N>
  bool run_one_query(int64_t start, int64_t first, int64_t end, int64_t last) const {
    if (rows > N) return false;
    if constexpr (N > 1) {
      if (run_one_query<T, N - 1>(start, first, end, last)) return true;
    }
    AttendOneQuery<Attend, V, T, N>{*this}.run(start, first - start, end - start, last);
    return true;
  }

  template <typename T>
  void run_tile_of(int64_t start, int64_t first, int64_t end, int64_t last) const {
    if (t.kv->dtype == kKvInt8) load_scales(start, first, end);
    if (t.num_queries == 1 && t.kv->block_size % kW == 0 && head_dim % kW == 0 &&
        run_one_query<T, 8>(start, first, end, last))
      return;
    load_tile<T>(start, first, end, last);
    clear_lanes(0, first - start), clear_lanes(end - start, kTile);
    score_from<kRows>(0);
    // The rows of one query see the same keys.
    bool whole = first_key(rows - 1) <= start && position(0) + 1 >= start + kTile;  // and here all rows all of them
    for (int64_t row = 0; row < rows; ++row) {
      const auto [begin, stop] = lanes(row, start);
      if (begin >= stop) continue;
      soften(row, begin, stop);
      if (!whole && t.num_queries > 1) add_values<1>(row, begin, stop);
    }
    const auto [begin, stop] = lanes(0, start);
    if (whole || t.num_queries == 1) add_values_from<kRows>(0, begin, stop);
  }

  void run() const {
    run_tiles([this](int64_t start, int64_t first, int64_t end, int64_t last) { run_tile(start, first, end, last); });
  }
  /// The task, by tile(start, first, end, last) as run_tile has them.
  template <class Tile>
  void run_tiles(const Tile& tile) const {
    for (int64_t lane = 0; lane < kTile; ++lane) key_scales[lane] = t.scale;
    const int64_t first = first_key(0), end = position(rows - 1) + 1;
    const int64_t first_span = first / kSpan, last_span = (end - 1) / kSpan;
    if (t.part == AttentionTask::Part::kSpan) return run_span(t.span, first, end, tile);
    for (int64_t r = 0; r < rows; ++r) merged[rows + r] = 0;
    if (t.part == AttentionTask::Part::kMerge) {
      for (int64_t i = 0; i < t.num_states; ++i) merge(t.states + i * attention_state_floats(head_dim, rows));
      return finish(merged);
    }
    for (int64_t span = first_span; span <= last_span; ++span) {
      run_span(span, first, end, tile);
      if (first_span == last_span) return finish(highest);
      merge(highest);
    }
    finish(merged);
  }
  template <class Tile>
  void run_span(int64_t span, int64_t first_needed, int64_t end_key, const Tile& tile) const {
    for (int64_t r = 0; r < rows; ++r) highest[r] = -__builtin_inff(), total[r] = 0;
    for (int64_t i = 0; i < rows * padded; ++i) sums[i] = 0;
    const int64_t begin = span * kSpan < first_needed ? first_needed : span * kSpan;
    const int64_t stop = span * kSpan + kSpan < end_key ? span * kSpan + kSpan : end_key;
    for (int64_t start = begin / kTile * kTile; start < stop; start += kTile) {
      const int64_t first = begin > start ? begin : start, end = stop < start + kTile ? stop : start + kTile;
      tile(start, first, end, stop - 1);
    }
  }

  /// merged += the state of a later span. A row without keys there (total 0) stays as it is, so that rows which see
  /// different spans get the same bits in one task and alone.
  void merge(const float* state) const {
    const float *new_total = state + rows, *new_sums = new_total + rows;
    float *merged_total = merged + rows, *merged_sums = merged_total + rows;
    for (int64_t r = 0; r < rows; ++r, new_sums += padded, merged_sums += padded) {
      if (new_total[r] == 0) continue;
      const bool first = merged_total[r] == 0;
      const float top = first || state[r] > merged[r] ? state[r] : merged[r];
      const V shrink = vec_exp(V::set1(first ? 0 : merged[r] - top)), shrink_new = vec_exp(V::set1(state[r] - top));
      float factor[kW], new_factor[kW];
      shrink.store(factor), shrink_new.store(new_factor);
      merged_total[r] = first ? new_total[r] : merged_total[r] * factor[0] + new_total[r] * new_factor[0];
      merged[r] = top;
      for (int64_t d = 0; d < padded; d += kW) {
        const V added = V::load(new_sums + d);
        (first ? added : V::load(merged_sums + d) * shrink + added * shrink_new).store(merged_sums + d);
      }
    }
  }
  /// Writes the averages of a state.
  void finish(const float* state) const {
    const float *all = state + rows, *from = all + rows;
    for (int64_t r = 0; r < rows; ++r) {
      float* out = t.out + r / t.group * t.out_stride + r % t.group * head_dim;
      V scale = V::set1(1.0f / all[r]);
      for (int64_t d = 0; d < head_dim; d += kW) {
        V x = V::load(from + r * padded + d) * scale;
        if (d + kW <= head_dim)
          x.store(out + d);
        else
          x.store_n(out + d, head_dim - d);
      }
    }
  }
};

}  // namespace vllm
