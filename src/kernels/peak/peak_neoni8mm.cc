#include "kernels/peak/peak_neon_int8.h"

namespace vllm::peak {
namespace {

int64_t int8(int64_t rounds) {
  return int8_loop(rounds, [](int32x4_t sum, int8x16_t a, int8x16_t b) { return vmmlaq_s32(sum, a, b); });
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
