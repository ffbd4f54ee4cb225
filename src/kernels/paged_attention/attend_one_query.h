#pragma once
// A tile of one query's heads (decode): keys and values are used straight from their pages, widened in registers. The
// sums are those of Attend, in the same order, so the bits are too.
#include "kernels/paged_attention/attention_task.h"
#include "kernels/simd/unroll.h"

namespace vllm {

/// N heads over pages of T.
template <class A, class V, typename T, int N>
struct AttendOneQuery {
  static constexpr int64_t kTile = kAttentionTileKeys, kW = V::kWidth;
  const A& a;

  /// Scores against lanes [begin, end) of the tile, in whole vectors: lanes beyond are masked later.
  void score(int64_t start, int64_t begin, int64_t end, int64_t last) const {
    constexpr int kVecs = kW == 16 ? 2 : 1;
    for (int64_t lane = begin / kW * kW; lane < end; lane += kVecs * kW) {
      const T *key[kVecs], *later[kVecs];
      VLLM_UNROLL for (int c = 0; c < kVecs; ++c) {
        // A vector past the end is read from the first one's page and not kept.
        const int64_t j = start + (lane + c * kW < end ? lane + c * kW : lane),
                      next = j + kTile <= last ? j + kTile : j;
        key[c] = a.template key_area<T>(j), later[c] = a.template key_area<T>(next);
      }
      score_vectors<kVecs>(key, later, lane, end);
    }
  }

  template <int C>
  void score_vectors(const T* const (&key)[C], const T* const (&later)[C], int64_t lane, int64_t end) const {
    const int64_t head_dim = a.head_dim, block_size = a.t.kv->block_size;
    V sum[N][C];
    VLLM_UNROLL for (int r = 0; r < N; ++r) { VLLM_UNROLL for (int c = 0; c < C; ++c) sum[r][c] = V::zero(); }
    const float* q = a.query(0);
    for (int64_t d = 0; d < head_dim; ++d) {
      V k[C];
      VLLM_UNROLL for (int c = 0; c < C; ++c) {
        k[c] = V::load(key[c] + d * block_size);
        __builtin_prefetch(later[c] + d * block_size);
      }
      VLLM_UNROLL for (int r = 0; r < N; ++r) {
        const V x = V::set1(q[r * head_dim + d]);
        VLLM_UNROLL for (int c = 0; c < C; ++c) sum[r][c] = fma(x, k[c], sum[r][c]);
      }
    }
    VLLM_UNROLL for (int r = 0; r < N; ++r) {
      VLLM_UNROLL for (int c = 0; c < C; ++c) {
        if (lane + c * kW < end) a.finish_score(sum[r][c], lane + c * kW).store(a.weights + r * kTile + lane + c * kW);
      }
    }
  }

  /// sums += weights x values over lanes [begin, end).
  void add_values(int64_t start, int64_t begin, int64_t end, int64_t last) const {
    constexpr int kVecs = kW == 16 ? (N <= 4 ? 4 : 2) : (N <= 4 ? 2 : 1);
    int64_t d = 0;
    for (; d + kVecs * kW <= a.head_dim; d += kVecs * kW) add_columns<kVecs>(start, begin, end, last, d);
    for (; d < a.head_dim; d += kW) add_columns<1>(start, begin, end, last, d);
  }
  template <int C>
  void add_columns(int64_t start, int64_t begin, int64_t end, int64_t last, int64_t d) const {
    const int64_t head_dim = a.head_dim, block_size = a.t.kv->block_size;
    V sum[N][C];
    VLLM_UNROLL for (int r = 0; r < N; ++r) {
      VLLM_UNROLL for (int c = 0; c < C; ++c) sum[r][c] = V::load(a.sums + r * a.padded + d + c * kW);
    }
    for (int64_t j = start + begin; j < start + end;) {
      int64_t run = block_size - j % block_size;
      if (run > start + end - j) run = start + end - j;
      const T* v = a.template value_area<T>(j) + d;
      const T* later = a.template value_area<T>(j + kTile <= last ? j + kTile : j) + d;
      for (const float* w = a.weights + j - start; run > 0; --run, ++j, ++w, v += head_dim, later += head_dim) {
        V value[C];
        VLLM_UNROLL for (int c = 0; c < C; ++c) value[c] = V::load(v + c * kW);
        __builtin_prefetch(later);
        if constexpr (C * kW * sizeof(T) > 64) __builtin_prefetch(later + C * kW / 2);
        VLLM_UNROLL for (int r = 0; r < N; ++r) {
          const V x = V::set1(w[r * kTile]);
          VLLM_UNROLL for (int c = 0; c < C; ++c) sum[r][c] = fma(x, value[c], sum[r][c]);
        }
      }
    }
    VLLM_UNROLL for (int r = 0; r < N; ++r) {
      VLLM_UNROLL for (int c = 0; c < C; ++c) sum[r][c].store(a.sums + r * a.padded + d + c * kW);
    }
  }

  void run(int64_t start, int64_t begin, int64_t end, int64_t last) const {
    score(start, begin, end, last);
    VLLM_UNROLL for (int r = 0; r < N; ++r) a.soften(r, begin, end);
    add_values(start, begin, end, last);
  }
};

}  // namespace vllm
