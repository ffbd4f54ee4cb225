#pragma once
// The vectors of AVX-512 with VNNI: one is a panel, 16 rows. In an unnamed namespace: see linear_tile.h.
#include <immintrin.h>

#include "kernels/linear/linear_compact_tile.h"

namespace vllm::linear {
namespace {

struct Avx512 {
  using F = __m512;
  using I = __m512i;
  static constexpr int kLanes = 16, kTokens = 16, kPlainTokens = 8, kCompactTokens = 8, kChains = 4;
  static constexpr int kRowSums = 1, kLeastTokens = 1;
  static constexpr bool kSignedBytes = false, kDotBFloat16 = false;

  static F zero() { return _mm512_setzero_ps(); }
  static F load_float(const void* p) { return _mm512_loadu_ps(p); }
  static F load_half(const void* p) { return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(p))); }
  static F load_int8(const void* p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(static_cast<const __m128i*>(p))));
  }
  static void load_bfloat16_pairs(const void* p, F& even, F& odd) { split_pairs(_mm512_loadu_si512(p), even, odd); }
  static void split_pairs(I pairs, F& even, F& odd) {
    even = _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
    odd = _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
  }
  // Compact bfloat16: the 16 exponents of a table, and 8 k of 16 rows by them.
  static I load_table(const void* p) { return _mm512_broadcast_i32x4(_mm_loadu_si128(static_cast<const __m128i*>(p))); }
  static void unpack_pairs(const std::byte* w, I exponents, I (&pairs)[4]) {
    const I low = set_bytes(0x0f), places = load(w + 2 * kVector);
    VLLM_UNROLL for (int i = 0; i < 2; ++i) {
      const I place = bit_and(i == 0 ? places : _mm512_srli_epi16(places, 4), low);
      const I exponent = _mm512_shuffle_epi8(exponents, place), rest = load(w + i * kVector);
      // 16 bits e e e e e e e e m m m m m m m s, turned right by one
      const I first = _mm512_unpacklo_epi8(rest, exponent), second = _mm512_unpackhi_epi8(rest, exponent);
      pairs[2 * i] = _mm512_shrdi_epi16(first, first, 1), pairs[2 * i + 1] = _mm512_shrdi_epi16(second, second, 1);
    }
  }
  static F bcast(const float* p) { return _mm512_set1_ps(*p); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F mul_add(F a, F b, F c) { return fma(a, b, c); }
  static F fnma(F a, F b, F c) { return _mm512_fnmadd_ps(a, b, c); }
  static F to_float(I a) { return _mm512_cvtepi32_ps(a); }
  static void store(std::byte* p, I a) { _mm512_storeu_si512(p, a); }
  static void store(float* p, F a) { _mm512_storeu_ps(p, a); }

  static I zero_int() { return _mm512_setzero_si512(); }
  static I load(const void* p) { return _mm512_loadu_si512(p); }
  static I load_bytes8(const void* p) { return load(p); }
  static I sub_bytes(I a, I b) { return _mm512_sub_epi8(a, b); }
  static I bcast(const int32_t* p) { return _mm512_set1_epi32(*p); }
  static I set_bytes(int value) { return _mm512_set1_epi8(static_cast<char>(value)); }
  static I bit_and(I a, I b) { return _mm512_and_si512(a, b); }
  static I or_and(I a, I b, I mask) { return _mm512_ternarylogic_epi32(a, b, mask, 0xf8); }  // a | (b & mask)
  static I add_int(I a, I b) { return _mm512_add_epi32(a, b); }
  static I sub_int(I a, I b) { return _mm512_sub_epi32(a, b); }
  template <int kLeft>
  static I shift_int(I a) {
    return _mm512_slli_epi32(a, kLeft);
  }
  template <int kLeft>
  static I shift(I a) {
    if constexpr (kLeft > 0) return _mm512_slli_epi16(a, kLeft);
    return _mm512_srli_epi16(a, kLeft > 0 ? 0 : -kLeft);
  }
  // sum[i] += over kCount vectors of 4 unsigned bytes times the 4 signed bytes of x[i]
  template <int kBits, int kCount, int N>
  static void dot(I (&sum)[N], const I* q, const int8_t* const (&x)[N]) {
    VLLM_UNROLL for (int j = 0; j < kCount; ++j) {
      VLLM_UNROLL for (int i = 0; i < N; ++i) {
        int32_t four;
        __builtin_memcpy(&four, x[i] + 4 * j, 4);
        sum[i] = _mm512_dpbusd_epi32(sum[i], q[j], _mm512_set1_epi32(four));
      }
    }
  }

  static uint32_t largest_bits(const float* x) {
    const I magnitude = _mm512_set1_epi32(0x7fffffff);
    return static_cast<uint32_t>(_mm512_reduce_max_epi32(
        _mm512_max_epi32(_mm512_and_si512(load(x), magnitude), _mm512_and_si512(load(x + 16), magnitude))));
  }
  template <int kTerms>
  static void quantize_block(const float* x, float reciprocal, QuantizedBlock<kTerms>& out) {
    const F factor = _mm512_set1_ps(reciprocal);
    VLLM_UNROLL for (int half = 0; half < 2; ++half) {
      const F values = load_float(x + 16 * half);
      I sum = _mm512_cvtps_epi32(mul(values, factor));
      if (reciprocal == 0.0f) sum = zero_int();  // infinity times zero is no number
      store_bytes(out.terms[0] + 16 * half, sum);
      if constexpr (kTerms == 2) {
        const F neg_error = fnma(values, factor, to_float(sum));  // fused: exact but for one rounding
        I second = _mm512_cvtps_epi32(mul(neg_error, _mm512_set1_ps(-kTermRatio)));
        if (reciprocal == 0.0f) second = zero_int();
        store_bytes(out.terms[1] + 16 * half, second);
        sum = add_int(_mm512_mullo_epi32(sum, _mm512_set1_epi32(kTermRatio)), second);
      }
      const int32_t negative = -_mm512_reduce_add_epi32(sum);
      if (half == 0) out.neg_sum_low = negative;
      out.neg_sum = half == 0 ? negative : out.neg_sum + negative;
    }
  }
  static void store_bytes(int8_t* p, I a) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(a)); }
};

}  // namespace
}  // namespace vllm::linear
