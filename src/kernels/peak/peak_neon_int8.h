#pragma once
// The loop that both extensions of NEON for products of bytes are measured with.
#include <arm_neon.h>

#include "kernels/peak/peak_loops.h"

namespace vllm::peak {
namespace {  // compiled with other flags in each file that includes it

constexpr int kSums = 16;  // independent ones: more than a product's latency

/// `rounds` times kSums of `product(sum, x, x)`.
template <typename Product>
int64_t int8_loop(int64_t rounds, Product product) {
  int32x4_t sum[kSums];
  const int8x16_t x = vdupq_n_s8(1);
  VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = vdupq_n_s32(i);
  for (int64_t r = 0; r < rounds; ++r) {
    VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = product(sum[i], x, x);
  }
  VLLM_UNROLL for (int i = 1; i < kSums; ++i) sum[0] = vaddq_s32(sum[0], sum[i]);
  return vaddvq_s32(sum[0]);
}

}  // namespace
}  // namespace vllm::peak
