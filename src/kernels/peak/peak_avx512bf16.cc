#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/peak/peak_loops.h"

namespace vllm::peak {
namespace {

constexpr int kSums = 16;

int64_t bfloat16(int64_t rounds) {
  __m512 sum[kSums];
  const __m512bh x = reinterpret_cast<__m512bh>(_mm512_set1_epi16(0x3f00));  // 0.5
  VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = _mm512_set1_ps(static_cast<float>(i));
  for (int64_t r = 0; r < rounds; ++r) {
    VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = _mm512_dpbf16_ps(sum[i], x, x);
  }
  VLLM_UNROLL for (int i = 1; i < kSums; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  return static_cast<int64_t>(_mm512_cvtss_f32(sum[0]));
}

}  // namespace

const Loops& avx512_bf16_loops() {
  static constexpr Loops kLoops = {"avx512_bf16", {}, {64.0 * kSums, bfloat16}, {}};
  return kLoops;
}

}  // namespace vllm::peak
#endif
