#include <arm_neon.h>

#include "kernels/peak/peak_loops.h"

namespace vllm::peak {
namespace {

constexpr int kSums = 16;

int64_t float32(int64_t rounds) {
  float32x4_t sum[kSums], x = vdupq_n_f32(0.5f);
  VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = vdupq_n_f32(static_cast<float>(i));
  for (int64_t r = 0; r < rounds; ++r) {
    VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = vfmaq_f32(sum[i], x, x);
  }
  VLLM_UNROLL for (int i = 1; i < kSums; ++i) sum[0] = vaddq_f32(sum[0], sum[i]);
  return static_cast<int64_t>(vaddvq_f32(sum[0]));
}

// What products of bytes cost without dot products: half a vector of them added in 16 bits.
int64_t int8(int64_t rounds) {
  int16x8_t sum[kSums];
  const int8x8_t x = vdup_n_s8(1);
  VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = vdupq_n_s16(static_cast<int16_t>(i));
  for (int64_t r = 0; r < rounds; ++r) {
    VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = vmlal_s8(sum[i], x, x);
  }
  VLLM_UNROLL for (int i = 1; i < kSums; ++i) sum[0] = vaddq_s16(sum[0], sum[i]);
  return vaddlvq_s16(sum[0]);
}

}  // namespace

const Loops& neon_loops() {
  static constexpr Loops kLoops = {"neon", {16.0 * kSums, int8}, {}, {8.0 * kSums, float32}};
  return kLoops;
}

}  // namespace vllm::peak
