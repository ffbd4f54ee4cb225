// AVX-512 with the dot product of bfloat16 pairs, twice as fast as multiply-add where many tokens share a weight. It
// rounds after each product and takes denormals for zero, so its last bits are not those of the other ISAs.
#if defined(__x86_64__)
#include "kernels/linear/linear_backend_avx512.h"

namespace vllm::linear {
namespace {

struct Avx512BFloat16 : Avx512 {
  static constexpr bool kDotBFloat16 = true;
  static constexpr int kPlainTokens = 8;
  static F dot_bfloat16(I pairs, I x_pairs, F sum) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(pairs), reinterpret_cast<__m512bh>(x_pairs));
  }
};

void tile(const TileArgs& args) {
  if (args.compact) return compact_tile<Avx512BFloat16>(args);
  if (args.dtype == DType::kBFloat16) return tile_of_type<Avx512BFloat16, DType::kBFloat16>(args);
  avx512_kernels().tile(args);
}

// x as bfloat16, not as rounded float: 2 bytes an element. Denormals become zero, which the product takes them for.
void round_x(const float* x, int64_t k, float* out) {
  auto* to = reinterpret_cast<uint16_t*>(out);
  int64_t i = 0;
  for (; i + 32 <= k; i += 32) {
    const __m512bh both = _mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(x + i));
    _mm512_storeu_si512(to + i, reinterpret_cast<const __m512i&>(both));
  }
  for (; i < k; ++i) to[i] = bfloat16_bits(x[i]);
  if (k % 2 != 0) to[k] = 0;
}

}  // namespace

const Kernels& avx512_bf16_kernels() {
  static constexpr Kernels kKernels = {"avx512_bf16", tile, quantize<Avx512BFloat16>,
                                       round_x,       true, unpack_compact_panels<Avx512BFloat16>};
  return kKernels;
}

}  // namespace vllm::linear
#endif
