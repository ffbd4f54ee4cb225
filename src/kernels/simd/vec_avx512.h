#pragma once
// Sixteen floats in a 512-bit register. Only for files compiled with AVX-512 (*_avx512.cc). Interface: vec_generic.h.
#include <immintrin.h>

#include <cstdint>

#include "tensor/dtype.h"
#include "tensor/float8.h"

namespace vllm {

#define VLLM_VEC_INLINE inline __attribute__((always_inline))

struct VecAvx512 {
  static constexpr int kWidth = 16;
  __m512 v;

  static VLLM_VEC_INLINE VecAvx512 zero() { return {_mm512_setzero_ps()}; }
  static VLLM_VEC_INLINE VecAvx512 set1(float x) { return {_mm512_set1_ps(x)}; }
  static VLLM_VEC_INLINE __mmask16 first(int64_t n) { return static_cast<__mmask16>((1u << n) - 1u); }
  static VLLM_VEC_INLINE VecAvx512 load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static VLLM_VEC_INLINE VecAvx512 load_n(const float* p, int64_t n) { return {_mm512_maskz_loadu_ps(first(n), p)}; }
  static VLLM_VEC_INLINE VecAvx512 load(const BFloat16* p) {
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(wide, 16))};
  }
  static VLLM_VEC_INLINE VecAvx512 load(const Float16* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static VLLM_VEC_INLINE VecAvx512 load(const int8_t* p) {
    return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
  }
  static VLLM_VEC_INLINE VecAvx512 load(const Float8* p) {
    const __m512i code = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    const __m512i magnitude = _mm512_and_si512(code, _mm512_set1_epi32(0x7f));
    const __mmask16 subnormal = _mm512_testn_epi32_mask(code, _mm512_set1_epi32(0x78));
    const __mmask16 nan = _mm512_cmpeq_epi32_mask(magnitude, _mm512_set1_epi32(0x7f));
    const __m512i bias = _mm512_mask_blend_epi32(subnormal, _mm512_set1_epi32(120 << 23), _mm512_set1_epi32(121 << 23));
    __m512 x = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_slli_epi32(magnitude, 20), bias));
    x = _mm512_mask_sub_ps(x, subnormal, x, _mm512_set1_ps(0x1p-6f));
    x = _mm512_mask_mov_ps(x, nan, _mm512_set1_ps(__builtin_nanf("")));
    const __m512i sign = _mm512_slli_epi32(_mm512_srli_epi32(code, 7), 31);
    return {_mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(x), sign))};
  }
  VLLM_VEC_INLINE void store(float* p) const { _mm512_storeu_ps(p, v); }
  VLLM_VEC_INLINE void store_n(float* p, int64_t n) const { _mm512_mask_storeu_ps(p, first(n), v); }
  VLLM_VEC_INLINE void store(BFloat16* p) const {
    __m512i u = _mm512_castps_si512(v);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_srli_epi32(_mm512_add_epi32(u, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    __m512i nan = _mm512_or_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(0x40));
    __mmask16 is_nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtepi32_epi16(_mm512_mask_blend_epi32(is_nan, rounded, nan)));
  }
  VLLM_VEC_INLINE void store(Float16* p) const {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }

  friend VLLM_VEC_INLINE VecAvx512 operator+(VecAvx512 a, VecAvx512 b) { return {_mm512_add_ps(a.v, b.v)}; }
  friend VLLM_VEC_INLINE VecAvx512 operator-(VecAvx512 a, VecAvx512 b) { return {_mm512_sub_ps(a.v, b.v)}; }
  friend VLLM_VEC_INLINE VecAvx512 operator*(VecAvx512 a, VecAvx512 b) { return {_mm512_mul_ps(a.v, b.v)}; }
  friend VLLM_VEC_INLINE VecAvx512 operator/(VecAvx512 a, VecAvx512 b) { return {_mm512_div_ps(a.v, b.v)}; }
  friend VLLM_VEC_INLINE VecAvx512 max(VecAvx512 a, VecAvx512 b) { return {_mm512_max_ps(a.v, b.v)}; }
  friend VLLM_VEC_INLINE VecAvx512 min(VecAvx512 a, VecAvx512 b) { return {_mm512_min_ps(a.v, b.v)}; }
  friend VLLM_VEC_INLINE VecAvx512 fma(VecAvx512 a, VecAvx512 b, VecAvx512 c) {
    return {_mm512_fmadd_ps(a.v, b.v, c.v)};
  }
  friend VLLM_VEC_INLINE VecAvx512 round(VecAvx512 a) {
    return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  friend VLLM_VEC_INLINE VecAvx512 exp2_whole(VecAvx512 n) {
    __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(biased, 23))};
  }
  friend VLLM_VEC_INLINE VecAvx512 zero_below(VecAvx512 x, VecAvx512 bound, VecAvx512 value) {
    return {_mm512_maskz_mov_ps(static_cast<__mmask16>(~_mm512_cmp_ps_mask(x.v, bound.v, _CMP_LT_OQ)), value.v)};
  }
  friend VLLM_VEC_INLINE float reduce_add(VecAvx512 a) {
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }
  friend VLLM_VEC_INLINE float reduce_max(VecAvx512 a) {
    __m256 h = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
  }
};

#undef VLLM_VEC_INLINE

}  // namespace vllm
