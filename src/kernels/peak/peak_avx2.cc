#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/peak/peak_loops.h"

namespace vllm::peak {
namespace {

constexpr int kSums = 12;

int64_t float32(int64_t rounds) {
  __m256 sum[kSums], factor = _mm256_set1_ps(0.5f);
  VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = _mm256_set1_ps(static_cast<float>(i));
  for (int64_t r = 0; r < rounds; ++r) {
    VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = _mm256_fmadd_ps(sum[i], factor, factor);
  }
  VLLM_UNROLL for (int i = 1; i < kSums; ++i) sum[0] = _mm256_add_ps(sum[0], sum[i]);
  return static_cast<int64_t>(_mm256_cvtss_f32(sum[0]));
}

// What a dot product of bytes costs without VNNI: vpmaddubsw, vpmaddwd, vpaddd.
int64_t int8(int64_t rounds) {
  __m256i sum[kSums], x = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
  VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] = _mm256_set1_epi32(i);
  for (int64_t r = 0; r < rounds; ++r) {
    VLLM_UNROLL for (int i = 0; i < kSums; ++i) sum[i] =
        _mm256_add_epi32(sum[i], _mm256_madd_epi16(_mm256_maddubs_epi16(sum[i], x), ones));
  }
  VLLM_UNROLL for (int i = 1; i < kSums; ++i) sum[0] = _mm256_add_epi32(sum[0], sum[i]);
  return _mm256_extract_epi32(sum[0], 0);
}

}  // namespace

const Loops& avx2_loops() {
  static constexpr Loops kLoops = {"avx2", {64.0 * kSums, int8}, {}, {16.0 * kSums, float32}};
  return kLoops;
}

}  // namespace vllm::peak
#endif
