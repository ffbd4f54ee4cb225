#pragma once
// Eight floats in a 256-bit register. Only for files compiled with AVX2, FMA and F16C (*_avx2.cc). Interface:
// vec_generic.h.
#include <immintrin.h>

#include <cstdint>

#include "tensor/dtype.h"
#include "tensor/float8.h"

namespace vllm {

#define VLLM_VEC_INLINE inline __attribute__((always_inline))

struct VecAvx2 {
  static constexpr int kWidth = 8;
  __m256 v;

  static VLLM_VEC_INLINE VecAvx2 zero() { return {_mm256_setzero_ps()}; }
  static VLLM_VEC_INLINE VecAvx2 set1(float x) { return {_mm256_set1_ps(x)}; }
  static VLLM_VEC_INLINE __m256i first(int64_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  static VLLM_VEC_INLINE VecAvx2 load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static VLLM_VEC_INLINE VecAvx2 load_n(const float* p, int64_t n) { return {_mm256_maskload_ps(p, first(n))}; }
  static VLLM_VEC_INLINE VecAvx2 load(const BFloat16* p) {
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16))};
  }
  static VLLM_VEC_INLINE VecAvx2 load(const Float16* p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  static VLLM_VEC_INLINE VecAvx2 load(const int8_t* p) {
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
  }
  static VLLM_VEC_INLINE VecAvx2 load(const Float8* p) {
    const __m256i code = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
    const __m256i magnitude = _mm256_and_si256(code, _mm256_set1_epi32(0x7f));
    const __m256i subnormal = _mm256_cmpgt_epi32(_mm256_set1_epi32(8), magnitude);
    const __m256 nan = _mm256_castsi256_ps(_mm256_cmpeq_epi32(magnitude, _mm256_set1_epi32(0x7f)));
    const __m256i bias = _mm256_blendv_epi8(_mm256_set1_epi32(120 << 23), _mm256_set1_epi32(121 << 23), subnormal);
    __m256 x = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_slli_epi32(magnitude, 20), bias));
    x = _mm256_sub_ps(x, _mm256_and_ps(_mm256_castsi256_ps(subnormal), _mm256_set1_ps(0x1p-6f)));
    x = _mm256_blendv_ps(x, _mm256_set1_ps(__builtin_nanf("")), nan);
    const __m256i sign = _mm256_slli_epi32(_mm256_srli_epi32(code, 7), 31);
    return {_mm256_or_ps(x, _mm256_castsi256_ps(sign))};
  }
  VLLM_VEC_INLINE void store(float* p) const { _mm256_storeu_ps(p, v); }
  VLLM_VEC_INLINE void store_n(float* p, int64_t n) const { _mm256_maskstore_ps(p, first(n), v); }
  VLLM_VEC_INLINE void store(BFloat16* p) const {
    __m256i u = _mm256_castps_si256(v);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(u, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
    __m256i nan = _mm256_or_si256(_mm256_srli_epi32(u, 16), _mm256_set1_epi32(0x40));
    __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    __m256i wide = _mm256_blendv_epi8(rounded, nan, is_nan);
    __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(wide, wide), 0x08);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_castsi256_si128(packed));
  }
  VLLM_VEC_INLINE void store(Float16* p) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }

  friend VLLM_VEC_INLINE VecAvx2 operator+(VecAvx2 a, VecAvx2 b) { return {_mm256_add_ps(a.v, b.v)}; }
  friend VLLM_VEC_INLINE VecAvx2 operator-(VecAvx2 a, VecAvx2 b) { return {_mm256_sub_ps(a.v, b.v)}; }
  friend VLLM_VEC_INLINE VecAvx2 operator*(VecAvx2 a, VecAvx2 b) { return {_mm256_mul_ps(a.v, b.v)}; }
  friend VLLM_VEC_INLINE VecAvx2 operator/(VecAvx2 a, VecAvx2 b) { return {_mm256_div_ps(a.v, b.v)}; }
  friend VLLM_VEC_INLINE VecAvx2 max(VecAvx2 a, VecAvx2 b) { return {_mm256_max_ps(a.v, b.v)}; }
  friend VLLM_VEC_INLINE VecAvx2 min(VecAvx2 a, VecAvx2 b) { return {_mm256_min_ps(a.v, b.v)}; }
  friend VLLM_VEC_INLINE VecAvx2 fma(VecAvx2 a, VecAvx2 b, VecAvx2 c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
  friend VLLM_VEC_INLINE VecAvx2 round(VecAvx2 a) {
    return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
  }
  friend VLLM_VEC_INLINE VecAvx2 exp2_whole(VecAvx2 n) {
    __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(n.v), _mm256_set1_epi32(127));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(biased, 23))};
  }
  friend VLLM_VEC_INLINE VecAvx2 zero_below(VecAvx2 x, VecAvx2 bound, VecAvx2 value) {
    return {_mm256_andnot_ps(_mm256_cmp_ps(x.v, bound.v, _CMP_LT_OQ), value.v)};
  }
  friend VLLM_VEC_INLINE float reduce_add(VecAvx2 a) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
  }
  friend VLLM_VEC_INLINE float reduce_max(VecAvx2 a) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
  }
};

#undef VLLM_VEC_INLINE

}  // namespace vllm
