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

}  // namespace

const Kernels& avx512_bf16_kernels() {
  static constexpr Kernels kKernels = {"avx512_bf16",
                                       tile,
                                       quantize<Avx512BFloat16>,
                                       round_to_bfloat16_pairs,
                                       Avx512BFloat16::kCompactTokens,
                                       unpack_compact_panels<Avx512BFloat16>};
  return kKernels;
}

}  // namespace vllm::linear
#endif
