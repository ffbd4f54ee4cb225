#include <arm_neon.h>

#include "kernels/peak/peak_loops.h"

namespace vllm::peak {
namespace {

constexpr int kSums = 16;

int64_t int8(int64_t rounds) {
  int32x4_t sum[kSums];
  const int8x16_t x = vdupq_n_s8(1);
  VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = vdupq_n_s32(i);
  for (int64_t r = 0; r < rounds; ++r) {
    VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = vmmlaq_s32(sum[i], x, x);
  }
  VLLM_UNROLL for (int i = 1; i < kSums; ++i) sum[0] = vaddq_s32(sum[0], sum[i]);
  return vaddvq_s32(sum[0]);
}

int64_t bfloat16(int64_t rounds) {
  float32x4_t sum[kSums];
  // 0.64: of 0.5, g++ 12 makes an instruction of float16, which this file's flags do not have.
  const bfloat16x8_t x = vreinterpretq_bf16_u16(vdupq_n_u16(0x3f23));
  VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = vdupq_n_f32(static_cast<float>(i));
  for (int64_t r = 0; r < rounds; ++r) {
    VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = vbfmmlaq_f32(sum[i], x, x);
  }
  VLLM_UNROLL for (int i = 1; i < kSums; ++i) sum[0] = vaddq_f32(sum[0], sum[i]);
  return static_cast<int64_t>(vaddvq_f32(sum[0]));
}

}  // namespace

const Loops& neon_i8mm_loops() {
  static constexpr Loops kLoops = {"neon_i8mm", {64.0 * kSums, int8}, {32.0 * kSums, bfloat16}, {}};
  return kLoops;
}

}  // namespace vllm::peak
