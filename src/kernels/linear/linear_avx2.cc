// AVX2: a vector is half a panel, 8 rows.
#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels/linear/linear_tile.h"

namespace vllm::linear {
namespace {

struct Avx2 {
  using F = __m256;
  using I = __m256i;
  static constexpr int kLanes = 8, kTokens = 4, kPlainTokens = 4, kChains = 1;
  static constexpr int kRowSums = 1, kLeastTokens = 1;
  static constexpr bool kDotBFloat16 = false, kSignedBytes = true;  // vpmaddubsw would saturate with quants beyond 128

  static F zero() { return _mm256_setzero_ps(); }
  static F load_float(const void* p) { return _mm256_loadu_ps(static_cast<const float*>(p)); }
  static F load_half(const void* p) { return _mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(p))); }
  static F load_int8(const void* p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(static_cast<const __m128i*>(p))));
  }
  static void load_bfloat16_pairs(const void* p, F& even, F& odd) {
    const I pairs = load(p);
    even = _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
    odd = _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int>(0xffff0000u))));
  }
  static F bcast(const float* p) { return _mm256_broadcast_ss(p); }
  static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F add(F a, F b) { return _mm256_add_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F mul_add(F a, F b, F c) { return fma(a, b, c); }
  static F fnma(F a, F b, F c) { return _mm256_fnmadd_ps(a, b, c); }
  static F to_float(I a) { return _mm256_cvtepi32_ps(a); }
  static void store(float* p, F a) { _mm256_storeu_ps(p, a); }

  static I zero_int() { return _mm256_setzero_si256(); }
  static I load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
  static I load_bytes8(const void* p) { return _mm256_xor_si256(load(p), set_bytes(0x80)); }  // offset 128 off: signed
  static I bcast(const int32_t* p) { return _mm256_set1_epi32(*p); }
  static I set_bytes(int value) { return _mm256_set1_epi8(static_cast<char>(value)); }
  static I bit_and(I a, I b) { return _mm256_and_si256(a, b); }
  static I or_and(I a, I b, I mask) { return _mm256_or_si256(a, _mm256_and_si256(b, mask)); }
  static I add_int(I a, I b) { return _mm256_add_epi32(a, b); }
  static I sub_int(I a, I b) { return _mm256_sub_epi32(a, b); }
  template <int kLeft>
  static I shift_int(I a) {
    return _mm256_slli_epi32(a, kLeft);
  }
  template <int kLeft>
  static I shift(I a) {
    if constexpr (kLeft > 0) return _mm256_slli_epi16(a, kLeft);
    return _mm256_srli_epi16(a, kLeft > 0 ? 0 : -kLeft);
  }
  // sum[i] += over kCount vectors of 4 bytes times the 4 signed bytes of x[i]. Pairs are summed in 16 bits, as many as
  // fit: 15 * 127 * 2 * 8, 31 * 127 * 2 * 4, 63 * 127 * 2 * 2 and 128 * 127 * 2 are all below 2^15.
  template <int kBits, int kCount, int N>
  static void dot(I (&sum)[N], const I* q, const int8_t* const (&x)[N]) {
    VLLM_UNROLL for (int i = 0; i < N; ++i) sum[i] = dot<kBits, kCount>(sum[i], q, x[i]);
  }
  template <int kBits, int kCount>
  static I dot(I start, const I* q, const int8_t* x) {
    constexpr int kRun = kBits == 4 ? 8 : kBits == 5 ? 4 : kBits == 6 ? 2 : 1, kStep = kRun < kCount ? kRun : kCount;
    const I ones = _mm256_set1_epi16(1);
    VLLM_UNROLL for (int j = 0; j < kCount; j += kStep) {
      I sum = pairs<kBits>(q[j], x + 4 * j);
      VLLM_UNROLL for (int i = 1; i < kStep; ++i) sum = _mm256_add_epi16(sum, pairs<kBits>(q[j + i], x + 4 * (j + i)));
      start = _mm256_add_epi32(start, _mm256_madd_epi16(sum, ones));
    }
    return start;
  }
  template <int kBits>
  static I pairs(I q, const int8_t* x) {
    int32_t four;
    __builtin_memcpy(&four, x, 4);
    const I xs = _mm256_set1_epi32(four);
    if constexpr (kBits == 8) return _mm256_maddubs_epi16(_mm256_abs_epi8(q), _mm256_sign_epi8(xs, q));
    return _mm256_maddubs_epi16(q, xs);
  }

  static uint32_t largest_bits(const float* x) {
    const I magnitude = _mm256_set1_epi32(0x7fffffff);
    I largest = zero_int();
    for (int i = 0; i < 32; i += 8) largest = _mm256_max_epi32(largest, _mm256_and_si256(load(x + i), magnitude));
    __m128i four = _mm_max_epi32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
    four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0xb1));
    return static_cast<uint32_t>(_mm_cvtsi128_si32(four));
  }
  static int32_t sum_int(I a) {
    __m128i four = _mm_add_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1));
    return _mm_cvtsi128_si32(four);
  }
  template <int kTerms>
  static void quantize_block(const float* x, float reciprocal, QuantizedBlock<kTerms>& out) {
    const F factor = _mm256_set1_ps(reciprocal);
    I sum[4], second[4];
    for (int i = 0; i < 4; ++i) {
      const F values = load_float(x + 8 * i);
      sum[i] = _mm256_cvtps_epi32(mul(values, factor));
      if (reciprocal == 0.0f) sum[i] = zero_int();  // infinity times zero is no number
      if constexpr (kTerms == 2) {
        const F neg_error = fnma(values, factor, to_float(sum[i]));  // fused: exact but for one rounding
        second[i] = _mm256_cvtps_epi32(mul(neg_error, _mm256_set1_ps(-kTermRatio)));
        if (reciprocal == 0.0f) second[i] = zero_int();
      }
    }
    store_bytes(out.terms[0], sum);
    if constexpr (kTerms == 2) {
      store_bytes(out.terms[1], second);
      for (int i = 0; i < 4; ++i) {
        sum[i] = add_int(_mm256_mullo_epi32(sum[i], _mm256_set1_epi32(kTermRatio)), second[i]);
      }
    }
    out.neg_sum_low = -sum_int(add_int(sum[0], sum[1]));
    out.neg_sum = out.neg_sum_low - sum_int(add_int(sum[2], sum[3]));
  }
  // The packs work in halves of a vector; the last permutation puts the dwords back in order.
  static void store_bytes(int8_t* p, const I (&a)[4]) {
    const I bytes = _mm256_packs_epi16(_mm256_packs_epi32(a[0], a[1]), _mm256_packs_epi32(a[2], a[3]));
    _mm256_storeu_si256(reinterpret_cast<I*>(p),
                        _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)));
  }
};

}  // namespace

const Kernels& avx2_kernels() {
  static constexpr Kernels kKernels = {"avx2", tile_of_any_type<Avx2>, quantize<Avx2>, round_to_bfloat16<Avx2>};
  return kKernels;
}

}  // namespace vllm::linear
#endif
