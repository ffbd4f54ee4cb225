#pragma once
// A tile of one query's heads over pages of bfloat16, by products of bfloat16 pairs: pairs are made in registers by one
// or two shuffles of what a page holds. The sums are those of AttendBFloat16, in the same order, so the bits are too.
// Included only by paged_attention_avx512bf16.cc.
#include "kernels/paged_attention/attend_pairs.h"

namespace vllm {
namespace {

/// N heads. A has what AttendBFloat16 has; begin and end are lanes of the tile that starts at position `start`.
template <class A, int N>
struct OneQueryBFloat16 {
  using V = VecAvx512;
  static constexpr int64_t kTile = kAttentionTileKeys, kW = V::kWidth;
  const A& a;
  const int64_t head_dim = a.head_dim, block_size = a.t.kv->block_size;

  static V dot(I pairs, const uint32_t* others, V sum) {
    const I x = _mm512_set1_epi32(static_cast<int>(*others));
    return {_mm512_dpbf16_ps(sum.v, reinterpret_cast<__m512bh>(pairs), reinterpret_cast<const __m512bh&>(x))};
  }

  /// What to ask for while position j is used: the same lane of the next tile; after the last one, that of the next
  /// head's first tile, which the page holds behind this head's and this thread takes next.
  int64_t after(int64_t j, int64_t last) const {
    if (j + kTile <= last) return j + kTile;
    return a.t.kv_head + 1 < a.t.kv->num_kv_heads ? a.first_key(0) / kTile * kTile + j % kTile : j;
  }
  int64_t next_head(int64_t j, int64_t last) const {
    return j + kTile > last && a.t.kv_head + 1 < a.t.kv->num_kv_heads ? head_dim * block_size : 0;
  }

  /// Scores against lanes [begin, end), in whole vectors: lanes beyond are masked later.
  void score(int64_t start, int64_t begin, int64_t end, int64_t last) const {
    int64_t lane = begin / kW * kW;
    constexpr int kMost = N <= 4 ? 4 : 2;  // sums that run side by side hide the latency of a product
    for (; end - lane > (kMost - 1) * kW; lane += kMost * kW) score_vectors<kMost>(start, lane, last);
    if constexpr (kMost > 2)
      for (; end - lane > kW; lane += 2 * kW) score_vectors<2>(start, lane, last);
    for (; end > lane; lane += kW) score_vectors<1>(start, lane, last);
  }
  template <int C>
  void score_vectors(int64_t start, int64_t lane, int64_t last) const {
    block_size == kW ? score_pages<C, true>(start, lane, last) : score_pages<C, false>(start, lane, last);
  }
  template <int C, bool kOneVector>  // a page has so many keys
  VLLM_FORCE_INLINE void score_pages(int64_t start, int64_t lane, int64_t last) const {
    const int64_t row = kOneVector ? kW : block_size;
    const BFloat16 *key[C], *later[C];
    VLLM_UNROLL for (int c = 0; c < C; ++c) {
      const int64_t j = start + lane + c * kW;
      key[c] = a.template key_area<BFloat16>(j);
      later[c] = a.template key_area<BFloat16>(after(j, last)) + next_head(j, last);
    }
    V sum[N][C];
    VLLM_UNROLL for (int r = 0; r < N; ++r) { VLLM_UNROLL for (int c = 0; c < C; ++c) sum[r][c] = V::zero(); }
    const I zip = zip_halves();
    const uint32_t* q = a.queries;
    for (int64_t d = 0; d < head_dim; d += 2, ++q) {
      I pairs[C];
      VLLM_UNROLL for (int c = 0; c < C; ++c) {
        const BFloat16* const two = key[c] + d * row;
        __builtin_prefetch(later[c] + d * row);
        I both;
        if constexpr (kOneVector) {
          both = _mm512_loadu_si512(two);
        } else {
          __builtin_prefetch(later[c] + (d + 1) * row);
          both = _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(two))),
                                    _mm256_loadu_si256(reinterpret_cast<const __m256i*>(two + row)), 1);
        }
        pairs[c] = _mm512_permutexvar_epi16(zip, both);
      }
      VLLM_UNROLL for (int r = 0; r < N; ++r) {
        VLLM_UNROLL for (int c = 0; c < C; ++c) sum[r][c] = dot(pairs[c], q + r * (head_dim / 2), sum[r][c]);
      }
    }
    VLLM_UNROLL for (int r = 0; r < N; ++r) {
      VLLM_UNROLL for (int c = 0; c < C; ++c) sum[r][c].store(a.weights + r * kTile + lane + c * kW);
    }
  }

  /// sums += weights x values over lanes [begin, end); the weights are rounded to pairs.
  void add_values(int64_t start, int64_t begin, int64_t end, int64_t last) const {
    int64_t d = 0;
    if constexpr (N <= 4)
      for (; d + 64 <= head_dim; d += 64) add_columns<2>(start, begin, end, last, d);
    for (; d < head_dim; d += 32) add_columns<1>(start, begin, end, last, d);
  }
  /// C times 32 dimensions. In `sum` those of each 32 lie as the pairs do: of every 8 the first 4 in one vector.
  template <int C>
  void add_columns(int64_t start, int64_t begin, int64_t end, int64_t last, int64_t d) const {
    V sum[N][2 * C];
    VLLM_UNROLL for (int r = 0; r < N; ++r) {
      VLLM_UNROLL for (int c = 0; c < C; ++c) {
        const float* const from = a.sums + r * a.padded + d + 32 * c;
        const __m512 low = _mm512_loadu_ps(from), high = _mm512_loadu_ps(from + kW);
        sum[r][2 * c].v = _mm512_permutex2var_ps(low, quads(0), high);
        sum[r][2 * c + 1].v = _mm512_permutex2var_ps(low, quads(4), high);
      }
    }
    for (int64_t lane = begin / 2 * 2; lane < end; lane += 2) {
      const int64_t j = start + lane;
      const BFloat16* const v = a.template value_area<BFloat16>(j) + d;
      const BFloat16* const next = a.template value_area<BFloat16>(after(j, last)) + next_head(j, last) + d;
      const bool has_first = lane >= begin, has_second = lane + 1 < end;
      const uint32_t* const w = a.weight_pairs(0) + lane / 2;
      VLLM_UNROLL for (int c = 0; c < C; ++c) {
        __builtin_prefetch(next + 32 * c), __builtin_prefetch(next + head_dim + 32 * c);
        const I first = has_first ? _mm512_loadu_si512(v + 32 * c) : _mm512_setzero_si512();
        const I second = has_second ? _mm512_loadu_si512(v + head_dim + 32 * c) : _mm512_setzero_si512();
        const I low = _mm512_unpacklo_epi16(first, second), high = _mm512_unpackhi_epi16(first, second);
        VLLM_UNROLL for (int r = 0; r < N; ++r) {
          sum[r][2 * c] = dot(low, w + r * kTile, sum[r][2 * c]);
          sum[r][2 * c + 1] = dot(high, w + r * kTile, sum[r][2 * c + 1]);
        }
      }
    }
    VLLM_UNROLL for (int r = 0; r < N; ++r) {
      VLLM_UNROLL for (int c = 0; c < C; ++c) {
        float* const to = a.sums + r * a.padded + d + 32 * c;
        const __m512 low = sum[r][2 * c].v, high = sum[r][2 * c + 1].v;
        _mm512_storeu_ps(to, _mm512_permutex2var_ps(low, in_order(0), high));
        _mm512_storeu_ps(to + kW, _mm512_permutex2var_ps(low, in_order(8), high));
      }
    }
  }
  // Of 32 floats: four from `first` on out of each 8.
  static I quads(int first) {
    return _mm512_add_epi32(_mm512_setr_epi32(0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27),
                            _mm512_set1_epi32(first));
  }
  // The other way: `first` is 0 for the first 16 of them, 8 for the others.
  static I in_order(int first) {
    return _mm512_add_epi32(_mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23),
                            _mm512_set1_epi32(first));
  }
};

}  // namespace
}  // namespace vllm
