#include <arm_neon.h>

#include "engine/sample/token_scan_impl.h"

namespace vllm::engine {
namespace {

struct Lanes128 {
  using F = float32x4_t;
  using U = uint32x4_t;
  static constexpr int32_t kLanes = 4;

  static F lowest() { return vdupq_n_f32(-__builtin_inff()); }
  static F load(const float* p) { return vld1q_f32(p); }
  static F max(F x, F top) { return vbslq_f32(vcgtq_f32(x, top), x, top); }  // a NaN in x gives top
  static float reduce_max(F x) { return vmaxvq_f32(x); }
  static F multiply_add(F x, float slope, float bound) { return vfmaq_f32(vdupq_n_f32(bound), x, vdupq_n_f32(slope)); }

  static U set(uint32_t x) { return vdupq_n_u32(x); }
  static U lanes() {
    static constexpr uint32_t kNumbers[kLanes] = {0, 1, 2, 3};
    return vld1q_u32(kNumbers);
  }
  static U add(U a, U b) { return vaddq_u32(a, b); }
  static U exclusive_or(U a, U b) { return veorq_u32(a, b); }
  static U multiply_even(U a, U b) {
    return vreinterpretq_u32_u64(vmull_u32(vmovn_u64(vreinterpretq_u64_u32(a)), vmovn_u64(vreinterpretq_u64_u32(b))));
  }
  static U high_half(U a) { return vreinterpretq_u32_u64(vshrq_n_u64(vreinterpretq_u64_u32(a), 32)); }
  static U low_to_high(U a) { return vreinterpretq_u32_u64(vshlq_n_u64(vreinterpretq_u64_u32(a), 32)); }
  static U merge(U even, U odd) { return vbslq_u32(vreinterpretq_u32_u64(vdupq_n_u64(0xffffffffu)), even, odd); }
  static void store(uint32_t* p, U a) { vst1q_u32(p, a); }
  static U load_words(const uint32_t* p) { return vld1q_u32(p); }
  // log2(word) - 32, from below, at most `bound`; false where that is NaN.
  static uint32_t log2_at_most(U words, F bound) {
    const F bits = vcvtq_f32_s32(vreinterpretq_s32_f32(vcvtq_f32_u32(words)));
    const F log2 = vfmaq_f32(vdupq_n_f32(-127.0f - 32.0f), bits, vdupq_n_f32(0x1p-23f));
    static constexpr uint32_t kBits[kLanes] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcleq_f32(log2, bound), vld1q_u32(kBits)));
  }
};

}  // namespace

const TokenScanKernels& token_scan_neon() { return ScanPasses<Lanes128>::kKernels; }

}  // namespace vllm::engine
