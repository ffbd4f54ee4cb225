#if defined(__x86_64__)
#include <immintrin.h>

#include "engine/sample/token_scan_impl.h"

namespace vllm::engine {
namespace {

struct Lanes512 {
  using F = __m512;
  using U = __m512i;
  static constexpr int32_t kLanes = 16;

  static F lowest() { return _mm512_set1_ps(-__builtin_inff()); }
  static F load(const float* p) { return _mm512_loadu_ps(p); }
  static F max(F x, F top) { return _mm512_max_ps(x, top); }  // a NaN in x gives top
  static float reduce_max(F x) { return _mm512_reduce_max_ps(x); }
  static F multiply_add(F x, float slope, float bound) {
    return _mm512_fmadd_ps(x, _mm512_set1_ps(slope), _mm512_set1_ps(bound));
  }

  static U set(uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
  static U lanes() { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
  static U add(U a, U b) { return _mm512_add_epi32(a, b); }
  static U exclusive_or(U a, U b) { return _mm512_xor_si512(a, b); }
  static U multiply_even(U a, U b) { return _mm512_mul_epu32(a, b); }
  static U high_half(U a) { return _mm512_srli_epi64(a, 32); }
  static U low_to_high(U a) { return _mm512_slli_epi64(a, 32); }
  static U merge(U even, U odd) { return _mm512_mask_blend_epi32(0xaaaa, even, odd); }
  static void store(uint32_t* p, U a) { _mm512_store_si512(p, a); }
  static U load_words(const uint32_t* p) { return _mm512_load_si512(p); }
  // log2(word) - 32, from below, at most `bound`; false where that is NaN.
  static uint32_t log2_at_most(U words, F bound) {
    const F bits = _mm512_cvtepi32_ps(_mm512_castps_si512(_mm512_cvtepu32_ps(words)));
    const F log2 = _mm512_fmadd_ps(bits, _mm512_set1_ps(0x1p-23f), _mm512_set1_ps(-127.0f - 32.0f));
    return _mm512_cmp_ps_mask(log2, bound, _CMP_LE_OQ);
  }
};

}  // namespace

const TokenScanKernels& token_scan_avx512() { return ScanPasses<Lanes512>::kKernels; }

}  // namespace vllm::engine
#endif
