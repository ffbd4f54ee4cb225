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
    VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = vdotq_s32(sum[i], x, x);
  }
  VLLM_UNROLL for (int i = 1; i < kSums; ++i) sum[0] = vaddq_s32(sum[0], sum[i]);
  return vaddvq_s32(sum[0]);
}

}  // namespace

const Loops& neon_dotprod_loops() {
  static constexpr Loops kLoops = {"neon_dotprod", {32.0 * kSums, int8}, {}, {}};
  return kLoops;
}

}  // namespace vllm::peak
