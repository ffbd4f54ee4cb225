#if defined(__x86_64__)
#include <immintrin.h>

#include "engine/sample/token_scan_impl.h"

namespace vllm::engine {
namespace {

struct Lanes256 {
  using F = __m256;
  using U = __m256i;
  static constexpr int32_t kLanes = 8;

  static F lowest() { return _mm256_set1_ps(-__builtin_inff()); }
  static F load(const float* p) { return _mm256_loadu_ps(p); }
  static F max(F x, F top) { return _mm256_max_ps(x, top); }  // a NaN in x gives top
  static float reduce_max(F x) {
    alignas(32) float v[kLanes];
    _mm256_store_ps(v, x);
    float top = v[0];
    for (float f : v) top = f > top ? f : top;
    return top;
  }
  static F multiply_add(F x, float slope, float bound) {
    return _mm256_fmadd_ps(x, _mm256_set1_ps(slope), _mm256_set1_ps(bound));
  }

  static U set(uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
  static U lanes() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
  static U add(U a, U b) { return _mm256_add_epi32(a, b); }
  static U exclusive_or(U a, U b) { return _mm256_xor_si256(a, b); }
  static U multiply_even(U a, U b) { return _mm256_mul_epu32(a, b); }
  static U high_half(U a) { return _mm256_srli_epi64(a, 32); }
  static U low_to_high(U a) { return _mm256_slli_epi64(a, 32); }
  static U merge(U even, U odd) { return _mm256_blend_epi32(even, odd, 0xaa); }
  static void store(uint32_t* p, U a) { _mm256_store_si256(reinterpret_cast<__m256i*>(p), a); }
  static U load_words(const uint32_t* p) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(p)); }
  // log2(word) - 32, from below, at most `bound`; false where that is NaN.
  static uint32_t log2_at_most(U words, F bound) {
    // There is no conversion from unsigned words: the halves apart, exact but for the last rounding.
    const F high = _mm256_cvtepi32_ps(_mm256_srli_epi32(words, 16)),
            low = _mm256_cvtepi32_ps(_mm256_and_si256(words, _mm256_set1_epi32(0xffff))),
            value = _mm256_fmadd_ps(high, _mm256_set1_ps(65536.0f), low);
    const F bits = _mm256_cvtepi32_ps(_mm256_castps_si256(value));
    const F log2 = _mm256_fmadd_ps(bits, _mm256_set1_ps(0x1p-23f), _mm256_set1_ps(-127.0f - 32.0f));
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(log2, bound, _CMP_LE_OQ)));
  }
};

}  // namespace

const TokenScanKernels& token_scan_avx2() { return ScanPasses<Lanes256>::kKernels; }

}  // namespace vllm::engine
#endif
