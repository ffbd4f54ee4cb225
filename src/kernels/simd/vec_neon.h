#pragma once
// Eight floats in two 128-bit registers, lane for lane what VecAvx2 does: kernels written over either give the same
// bits, and their blocks of sums fill the 32 registers as they fill the 16 of AVX2. Plain Armv8-A, so for any
// *_neon.cc. Interface: vec_generic.h.
#include <arm_neon.h>

#include <cstdint>

#include "tensor/dtype.h"
#include "tensor/float8.h"

namespace vllm {

#define VLLM_VEC_INLINE inline __attribute__((always_inline))

struct VecNeon {
  static constexpr int kWidth = 8;
  float32x4_t low, high;

  static VLLM_VEC_INLINE VecNeon zero() { return set1(0.0f); }
  static VLLM_VEC_INLINE VecNeon set1(float x) { return {vdupq_n_f32(x), vdupq_n_f32(x)}; }
  static VLLM_VEC_INLINE VecNeon load(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4)}; }
  static VLLM_VEC_INLINE VecNeon load_n(const float* p, int64_t n) {
    float lane[kWidth] = {};
    for (int64_t i = 0; i < n; ++i) lane[i] = p[i];
    return load(lane);
  }
  static VLLM_VEC_INLINE VecNeon load(const BFloat16* p) {
    const uint16x8_t bits = vld1q_u16(reinterpret_cast<const uint16_t*>(p));
    return {vreinterpretq_f32_u32(vshll_n_u16(vget_low_u16(bits), 16)),
            vreinterpretq_f32_u32(vshll_n_u16(vget_high_u16(bits), 16))};
  }
  static VLLM_VEC_INLINE VecNeon load(const Float16* p) {
    const uint16x8_t bits = vld1q_u16(reinterpret_cast<const uint16_t*>(p));
    return {vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(bits))),
            vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(bits)))};
  }
  static VLLM_VEC_INLINE VecNeon load(const int8_t* p) {
    const int16x8_t wide = vmovl_s8(vld1_s8(p));
    return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(wide)))};
  }
  static VLLM_VEC_INLINE VecNeon load(const Float8* p) {
    const uint16x8_t wide = vmovl_u8(vld1_u8(&p->bits));
    return {from_float8(vmovl_u16(vget_low_u16(wide))), from_float8(vmovl_u16(vget_high_u16(wide)))};
  }
  VLLM_VEC_INLINE void store(float* p) const { vst1q_f32(p, low), vst1q_f32(p + 4, high); }
  VLLM_VEC_INLINE void store_n(float* p, int64_t n) const {
    float lane[kWidth];
    store(lane);
    for (int64_t i = 0; i < n; ++i) p[i] = lane[i];
  }
  VLLM_VEC_INLINE void store(BFloat16* p) const {
    vst1q_u16(reinterpret_cast<uint16_t*>(p), vcombine_u16(bfloat16_bits(low), bfloat16_bits(high)));
  }
  VLLM_VEC_INLINE void store(Float16* p) const {
    vst1q_u16(reinterpret_cast<uint16_t*>(p),
              vcombine_u16(vreinterpret_u16_f16(vcvt_f16_f32(low)), vreinterpret_u16_f16(vcvt_f16_f32(high))));
  }

  friend VLLM_VEC_INLINE VecNeon operator+(VecNeon a, VecNeon b) {
    return {vaddq_f32(a.low, b.low), vaddq_f32(a.high, b.high)};
  }
  friend VLLM_VEC_INLINE VecNeon operator-(VecNeon a, VecNeon b) {
    return {vsubq_f32(a.low, b.low), vsubq_f32(a.high, b.high)};
  }
  friend VLLM_VEC_INLINE VecNeon operator*(VecNeon a, VecNeon b) {
    return {vmulq_f32(a.low, b.low), vmulq_f32(a.high, b.high)};
  }
  friend VLLM_VEC_INLINE VecNeon operator/(VecNeon a, VecNeon b) {
    return {vdivq_f32(a.low, b.low), vdivq_f32(a.high, b.high)};
  }
  /// b if either is NaN: fmax and fmin would give NaN.
  friend VLLM_VEC_INLINE VecNeon max(VecNeon a, VecNeon b) {
    return {vbslq_f32(vcgtq_f32(a.low, b.low), a.low, b.low), vbslq_f32(vcgtq_f32(a.high, b.high), a.high, b.high)};
  }
  friend VLLM_VEC_INLINE VecNeon min(VecNeon a, VecNeon b) {
    return {vbslq_f32(vcltq_f32(a.low, b.low), a.low, b.low), vbslq_f32(vcltq_f32(a.high, b.high), a.high, b.high)};
  }
  friend VLLM_VEC_INLINE VecNeon fma(VecNeon a, VecNeon b, VecNeon c) {
    return {vfmaq_f32(c.low, a.low, b.low), vfmaq_f32(c.high, a.high, b.high)};
  }
  friend VLLM_VEC_INLINE VecNeon round(VecNeon a) { return {vrndnq_f32(a.low), vrndnq_f32(a.high)}; }
  friend VLLM_VEC_INLINE VecNeon exp2_whole(VecNeon n) { return {power_of_2(n.low), power_of_2(n.high)}; }
  friend VLLM_VEC_INLINE VecNeon zero_below(VecNeon x, VecNeon bound, VecNeon value) {
    return {zero_where(vcltq_f32(x.low, bound.low), value.low), zero_where(vcltq_f32(x.high, bound.high), value.high)};
  }
  friend VLLM_VEC_INLINE float reduce_add(VecNeon a) {
    const float32x4_t s = vaddq_f32(a.low, a.high);
    const float32x2_t pair = vadd_f32(vget_low_f32(s), vget_high_f32(s));
    return vget_lane_f32(pair, 0) + vget_lane_f32(pair, 1);
  }
  friend VLLM_VEC_INLINE float reduce_max(VecNeon a) {
    const float32x4_t s = vbslq_f32(vcgtq_f32(a.low, a.high), a.low, a.high);
    const float32x2_t l = vget_low_f32(s), h = vget_high_f32(s), pair = vbsl_f32(vcgt_f32(l, h), l, h);
    const float x = vget_lane_f32(pair, 0), y = vget_lane_f32(pair, 1);
    return x > y ? x : y;
  }

 private:
  static VLLM_VEC_INLINE float32x4_t power_of_2(float32x4_t n) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(n), vdupq_n_s32(127)), 23));
  }
  static VLLM_VEC_INLINE float32x4_t from_float8(uint32x4_t code) {
    const uint32x4_t magnitude = vandq_u32(code, vdupq_n_u32(0x7f)), subnormal = vcltq_u32(magnitude, vdupq_n_u32(8));
    const uint32x4_t bias = vbslq_u32(subnormal, vdupq_n_u32(121u << 23), vdupq_n_u32(120u << 23));
    float32x4_t x = vreinterpretq_f32_u32(vaddq_u32(vshlq_n_u32(magnitude, 20), bias));
    const uint32x4_t one = vandq_u32(subnormal, vreinterpretq_u32_f32(vdupq_n_f32(0x1p-6f)));
    x = vsubq_f32(x, vreinterpretq_f32_u32(one));
    x = vbslq_f32(vceqq_u32(magnitude, vdupq_n_u32(0x7f)), vdupq_n_f32(__builtin_nanf("")), x);
    return vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(x), vshlq_n_u32(vshrq_n_u32(code, 7), 31)));
  }
  static VLLM_VEC_INLINE float32x4_t zero_where(uint32x4_t mask, float32x4_t value) {
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(value), mask));
  }
  static VLLM_VEC_INLINE uint16x4_t bfloat16_bits(float32x4_t v) {
    const uint32x4_t u = vreinterpretq_u32_f32(v), odd = vandq_u32(vshrq_n_u32(u, 16), vdupq_n_u32(1));
    const uint32x4_t rounded = vaddq_u32(u, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    const uint32x4_t quiet = vorrq_u32(u, vdupq_n_u32(0x400000));
    return vshrn_n_u32(vbslq_u32(vceqq_f32(v, v), rounded, quiet), 16);
  }
};

#undef VLLM_VEC_INLINE

}  // namespace vllm
