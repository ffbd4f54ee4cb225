#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/peak/peak_loops.h"

namespace vllm::peak {
namespace {

constexpr int kSums = 16;

int64_t float32(int64_t rounds) {
  __m512 sum[kSums], factor = _mm512_set1_ps(0.5f);
  VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = _mm512_set1_ps(static_cast<float>(i));
  for (int64_t r = 0; r < rounds; ++r) {
    VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = _mm512_fmadd_ps(sum[i], factor, factor);
  }
  VLLM_UNROLL for (int i = 1; i < kSums; ++i) sum[0] = _mm512_add_ps(sum[0], sum[i]);
  return static_cast<int64_t>(_mm512_cvtss_f32(sum[0]));
}

int64_t int8(int64_t rounds) {
  __m512i sum[kSums], x = _mm512_set1_epi8(1);
  VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = _mm512_set1_epi32(i);
  for (int64_t r = 0; r < rounds; ++r) {
    VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = _mm512_dpbusd_epi32(sum[i], x, x);
  }
  VLLM_UNROLL for (int i = 1; i < kSums; ++i) sum[0] = _mm512_add_epi32(sum[0], sum[i]);
  return _mm512_reduce_add_epi32(sum[0]);
}

}  // namespace

const Loops& avx512_loops() {
  static constexpr Loops kLoops = {"avx512_vnni", {128.0 * kSums, int8}, {}, {32.0 * kSums, float32}};
  return kLoops;
}

}  // namespace vllm::peak
#endif
