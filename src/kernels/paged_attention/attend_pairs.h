#pragma once
// What products of bfloat16 pairs share, by vectors or by tiles: a tile of keys and one of values as pairs, queries and
// weights rounded to bfloat16. Only for files compiled with AVX512-BF16, hence the unnamed namespace.
#include "kernels/paged_attention/paged_attention_impl.h"
#include "kernels/simd/vec_avx512.h"

namespace vllm {
namespace {

using I = __m512i;

// 16 numbers as bfloat16, in the low halves of the lanes.
I load_half_words(const BFloat16* p) {
  return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
template <typename T>
I load_half_words(const T* p) {
  return _mm512_srli_epi32(_mm512_castps_si512(VecAvx512::load(p).v), 16);
}
// Of 16 lanes: first in the low, second in the high half.
I pairs_of(I first, I second) { return _mm512_or_si512(first, _mm512_slli_epi32(second, 16)); }
// Of 32 words: 0, 16, 1, 17 and so on.
I zip_halves() {
  const I low = _mm512_cvtepu8_epi32(_mm_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
  return _mm512_or_si512(low, _mm512_slli_epi32(_mm512_add_epi32(low, _mm512_set1_epi32(16)), 16));
}
template <typename T>
I load_as_pairs(const T* first, const T* second) {
  return pairs_of(load_half_words(first), load_half_words(second));
}
I load_as_pairs(const BFloat16* first, const BFloat16* second) {
  const I low = _mm512_castsi256_si512(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(first)));
  const I both = _mm512_inserti64x4(low, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(second)), 1);
  return _mm512_permutexvar_epi16(zip_halves(), both);
}
I round_to_pairs(__m512 first, __m512 second) {
  const __m512bh both = _mm512_cvtne2ps_pbh(second, first);
  return reinterpret_cast<const I&>(both);
}

/// 2^x to about 2 ulp for x <= 0; 0 below -126, so for -inf too, NaN stays NaN.
__m512 exp2_of_negative(__m512 x) {
  const __mmask16 keep = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-126.0f), _CMP_NLT_UQ);
  const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), r = _mm512_sub_ps(x, n);
  __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(1.32646983e-3f), r, _mm512_set1_ps(9.67151085e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.55073399e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.240222415f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.693146976f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
  return _mm512_maskz_scalef_ps(keep, p, n);
}

/// Whether the cache's type, its pages and heads, these a multiple of `dims`, suit it.
bool can_take_pairs(const AttentionTask& t, int64_t dims) {
  return (t.kv->dtype == DType::kBFloat16 || t.kv->dtype == DType::kUInt8 || t.kv->dtype == kKvInt8) &&
         t.kv->block_size % 16 == 0 && t.kv->head_dim % dims == 0 && t.num_queries * t.group <= kAttentionMaxRows;
}

struct AttendPairs : Attend<VecAvx512> {
  using V = VecAvx512;
  const int64_t steps = padded_pairs(head_dim);                       // with zeros behind the head's own
  uint32_t* const key_pairs = reinterpret_cast<uint32_t*>(keys);      // [steps][kTile]
  uint32_t* const queries = key_pairs + steps * kTile;                // [rows][steps]
  uint32_t* const value_pairs = reinterpret_cast<uint32_t*>(values);  // [kTile / 2][padded]
  // The weights of a row, in place: kTile floats become kTile / 2 pairs.
  uint32_t* weight_pairs(int64_t row) const { return reinterpret_cast<uint32_t*>(weights + row * kTile); }

  void round_queries() const {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t d = 0; d < head_dim; d += 2 * kW) {
        const float* q = query(r) + d;
        const __m512 second = d + kW < head_dim ? _mm512_loadu_ps(q + kW) : _mm512_setzero_ps();
        _mm512_storeu_si512(queries + r * steps + d / 2, round_to_pairs(_mm512_loadu_ps(q), second));
      }
    }
    for (int64_t i = head_dim / 2 * kTile; i < steps * kTile; ++i) key_pairs[i] = 0;
  }

  /// Attend::soften with less to compute: from products (nothing scaled yet) of the lanes [begin, end) of the tile to
  /// pairs of weights. All zero if the row sees none of its keys.
  void soften_to_pairs(int64_t row, int64_t begin, int64_t end) const {
    const float* w = weights + row * kTile;
    __m512 e[kVecs];
    if (begin >= end) {
      VLLM_UNROLL for (int c = 0; c < kVecs; ++c) e[c] = _mm512_setzero_ps();
      return store_pairs(row, e);
    }
    const uint64_t seen = (~uint64_t{0} << begin) & (~uint64_t{0} >> (kTile - end));
    V top = V::set1(-__builtin_inff());
    VLLM_UNROLL for (int c = 0; c < kVecs; ++c) {
      const auto lanes_seen = static_cast<__mmask16>(seen >> (c * kW));
      e[c] = _mm512_mask_mov_ps(_mm512_set1_ps(-__builtin_inff()), lanes_seen,
                                finish_score(V::load(w + c * kW), c * kW).v);
      top = max(top, V{e[c]});
    }
    constexpr float kLog2E = 1.44269504088896341f;
    const float tile_top = reduce_max(top), old_top = highest[row];
    const float new_top = tile_top > old_top ? tile_top : old_top;
    const __m512 shift = _mm512_set1_ps(-new_top * kLog2E);
    V sum = V::zero();
    VLLM_UNROLL for (int c = 0; c < kVecs; ++c) {
      e[c] = exp2_of_negative(_mm512_fmadd_ps(e[c], _mm512_set1_ps(kLog2E), shift));
      sum = sum + V{e[c]};
      if (t.kv->dtype == kKvInt8) e[c] = _mm512_mul_ps(e[c], _mm512_loadu_ps(value_scales + c * kW));
    }
    store_pairs(row, e);
    const float added = reduce_add(sum);
    if (new_top == old_top) {
      total[row] += added;
      return;
    }
    const V shrink = {exp2_of_negative(_mm512_fmadd_ps(_mm512_set1_ps(old_top), _mm512_set1_ps(kLog2E), shift))};
    total[row] = __builtin_fmaf(total[row], _mm512_cvtss_f32(shrink.v), added);
    highest[row] = new_top;
    for (int64_t d = 0; d < padded; d += kW) (V::load(sums + row * padded + d) * shrink).store(sums + row * padded + d);
  }
  void store_pairs(int64_t row, const __m512 (&e)[kVecs]) const {
    _mm512_storeu_si512(weight_pairs(row), round_to_pairs(e[0], e[1]));
    _mm512_storeu_si512(weight_pairs(row) + kW, round_to_pairs(e[2], e[3]));
  }

  /// Keys and values [first, end) of the tile; the others become zero. Asks for the next tile's.
  template <typename T>
  void load_pairs(int64_t start, int64_t first, int64_t end, int64_t last) const {
    const int64_t block_size = t.kv->block_size;
    for (int64_t lane = 0; lane < kTile; lane += kW) {
      const int64_t j = start + lane, below = first - j, above = end - j;
      const uint32_t from = below <= 0 ? 0xffffu : below >= kW ? 0 : 0xffffu << below & 0xffffu;
      const uint32_t to = above >= kW ? 0xffffu : above <= 0 ? 0 : 0xffffu >> (kW - above);
      const auto mask = static_cast<__mmask16>(from & to);
      if (mask == 0) {
        for (int64_t s = 0; s < head_dim / 2; ++s)
          _mm512_storeu_si512(key_pairs + s * kTile + lane, _mm512_setzero_si512());
        continue;
      }
      const T* k = key_area<T>(j);
      const T* next = key_area<T>(j + kTile <= last ? j + kTile : j);
      for (int64_t s = 0; s < head_dim / 2; ++s, k += 2 * block_size, next += 2 * block_size) {
        __builtin_prefetch(next), __builtin_prefetch(next + block_size);
        const I pairs = load_as_pairs(k, k + block_size);
        _mm512_storeu_si512(key_pairs + s * kTile + lane, _mm512_maskz_mov_epi32(mask, pairs));
      }
    }
    for (int64_t lane = 0; lane < kTile; lane += 2) {
      const int64_t j = start + lane;
      const bool has_first = j >= first && j < end, has_second = j + 1 >= first && j + 1 < end;
      uint32_t* to = value_pairs + lane / 2 * padded;
      if (!has_first && !has_second) {
        for (int64_t d = 0; d < padded; d += kW) _mm512_storeu_si512(to + d, _mm512_setzero_si512());
        continue;
      }
      const T* v = value_area<T>(j);
      const T* next = value_area<T>(j + kTile <= last ? j + kTile : j);
      for (int64_t d = 0; d < head_dim; d += kW) {
        if (d % (2 * kW) == 0) __builtin_prefetch(next + d), __builtin_prefetch(next + head_dim + d);
        _mm512_storeu_si512(to + d, value_pair(v + d, has_first, has_second));
      }
    }
  }
  /// 16 dimensions of two neighbouring positions.
  template <typename T>
  I value_pair(const T* v, bool has_first, bool has_second) const {
    if (has_first && has_second) return load_as_pairs(v, v + head_dim);
    const I zero = _mm512_setzero_si512();
    return pairs_of(has_first ? load_half_words(v) : zero, has_second ? load_half_words(v + head_dim) : zero);
  }
};

}  // namespace
}  // namespace vllm
