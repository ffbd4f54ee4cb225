#pragma once
// The vectors of NEON: one is a quarter of a panel, 4 rows. In an unnamed namespace: see linear_tile.h.
//
// Registers: 8 hold the quants of 4 rows and 32 k, up to 8 the sums of 8 tokens over all k, 4 those of a block.
#include <arm_neon.h>

#include "kernels/linear/linear_tile.h"

namespace vllm::linear {
namespace {

// What needs no more than Armv8-A: all but the dot product of bytes.
struct NeonBase {
  using F = float32x4_t;
  using I = int32x4_t;
  static constexpr int kLanes = 4, kTokens = 8, kPlainTokens = 4, kChains = 4;
  static constexpr int kRowSums = 8, kLeastTokens = 1;
  static constexpr bool kSignedBytes = true, kDotBFloat16 = false;

  static F zero() { return vdupq_n_f32(0.0f); }
  static F load_float(const void* p) { return vld1q_f32(static_cast<const float*>(p)); }
  static F load_half(const void* p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(static_cast<const uint16_t*>(p))));
  }
  static F load_int8(const void* p) {
    int32_t four;
    __builtin_memcpy(&four, p, sizeof four);
    const int16x8_t wide = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four)));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
  }
  static void load_bfloat16_pairs(const void* p, F& even, F& odd) {
    const I pairs = load(p);
    even = vreinterpretq_f32_s32(vshlq_n_s32(pairs, 16));
    odd = vreinterpretq_f32_s32(vandq_s32(pairs, vdupq_n_s32(static_cast<int32_t>(0xffff0000u))));
  }
  static F bcast(const float* p) { return vld1q_dup_f32(p); }
  static F mul(F a, F b) { return vmulq_f32(a, b); }
  static F add(F a, F b) { return vaddq_f32(a, b); }
  static F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
  static F mul_add(F a, F b, F c) { return fma(a, b, c); }
  static F fnma(F a, F b, F c) { return vfmsq_f32(c, a, b); }
  static F to_float(I a) { return vcvtq_f32_s32(a); }
  static void store(float* p, F a) { vst1q_f32(p, a); }

  static I zero_int() { return vdupq_n_s32(0); }
  static I load(const void* p) { return vreinterpretq_s32_u8(vld1q_u8(static_cast<const uint8_t*>(p))); }
  static I load_bytes8(const void* p) { return veorq_s32(load(p), set_bytes(0x80)); }  // offset 128 off: signed
  static I bcast(const int32_t* p) { return vld1q_dup_s32(p); }
  static I set_bytes(int value) { return vreinterpretq_s32_u8(vdupq_n_u8(static_cast<uint8_t>(value))); }
  static I bit_and(I a, I b) { return vandq_s32(a, b); }
  static I or_and(I a, I b, I mask) { return vorrq_s32(a, vandq_s32(b, mask)); }
  static I add_int(I a, I b) { return vaddq_s32(a, b); }
  static I sub_int(I a, I b) { return vsubq_s32(a, b); }
  template <int kLeft>
  static I shift_int(I a) {
    return vshlq_n_s32(a, kLeft);
  }
  template <int kLeft>
  static I shift(I a) {
    if constexpr (kLeft > 0) {
      return vreinterpretq_s32_u8(vshlq_n_u8(vreinterpretq_u8_s32(a), kLeft));
    } else {
      return vreinterpretq_s32_u8(vshrq_n_u8(vreinterpretq_u8_s32(a), -kLeft));
    }
  }

  static uint32_t largest_bits(const float* x) {
    const I magnitude = vdupq_n_s32(0x7fffffff);
    I largest = zero_int();
    for (int i = 0; i < kBlock; i += kLanes) largest = vmaxq_s32(largest, vandq_s32(load(x + i), magnitude));
    return static_cast<uint32_t>(vmaxvq_s32(largest));
  }
  template <int kTerms>
  static void quantize_block(const float* x, float reciprocal, QuantizedBlock<kTerms>& out) {
    const F factor = vdupq_n_f32(reciprocal);
    int32_t sums[2];
    for (int half = 0; half < 2; ++half) {
      I first[4], second[4], value[4];
      VLLM_UNROLL for (int i = 0; i < 4; ++i) {
        const F values = load_float(x + 16 * half + 4 * i);
        value[i] = first[i] = reciprocal == 0.0f ? zero_int() : vcvtnq_s32_f32(mul(values, factor));
        if constexpr (kTerms == 2) {
          const F neg_error = fnma(values, factor, to_float(first[i]));  // fused: exact but for one rounding
          second[i] = reciprocal == 0.0f ? zero_int() : vcvtnq_s32_f32(mul(neg_error, vdupq_n_f32(-kTermRatio)));
          value[i] = vmlaq_n_s32(second[i], first[i], kTermRatio);
        }
      }
      store_bytes(out.terms[0] + 16 * half, first);
      if constexpr (kTerms == 2) store_bytes(out.terms[1] + 16 * half, second);
      sums[half] = vaddvq_s32(vaddq_s32(vaddq_s32(value[0], value[1]), vaddq_s32(value[2], value[3])));
    }
    out.neg_sum_low = -sums[0];
    out.neg_sum = -sums[0] - sums[1];
  }
  static void store_bytes(int8_t* p, const I (&a)[4]) {
    const int16x8_t low = vcombine_s16(vmovn_s32(a[0]), vmovn_s32(a[1])),
                    high = vcombine_s16(vmovn_s32(a[2]), vmovn_s32(a[3]));
    vst1q_s8(p, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
  }
  static int8x16_t bytes(I a) { return vreinterpretq_s8_s32(a); }
};

#if defined(__ARM_FEATURE_DOTPROD)
// x comes 16 bytes a load; the instruction picks its 4 by itself.
struct NeonDotProd : NeonBase {
  template <int kBits, int kCount, int N>
  static VLLM_FORCE_INLINE void dot(I (&sum)[N], const I* q, const int8_t* const (&x)[N]) {
    VLLM_UNROLL for (int j = 0; j < kCount; j += 4) {
      int8x16_t values[N];
      VLLM_UNROLL for (int i = 0; i < N; ++i) values[i] = vld1q_s8(x[i] + 4 * j);
      VLLM_UNROLL for (int i = 0; i < N; ++i) sum[i] = vdotq_laneq_s32(sum[i], bytes(q[j]), values[i], 0);
      VLLM_UNROLL for (int i = 0; i < N; ++i) sum[i] = vdotq_laneq_s32(sum[i], bytes(q[j + 1]), values[i], 1);
      VLLM_UNROLL for (int i = 0; i < N; ++i) sum[i] = vdotq_laneq_s32(sum[i], bytes(q[j + 2]), values[i], 2);
      VLLM_UNROLL for (int i = 0; i < N; ++i) sum[i] = vdotq_laneq_s32(sum[i], bytes(q[j + 3]), values[i], 3);
    }
  }
};
#endif

}  // namespace
}  // namespace vllm::linear
