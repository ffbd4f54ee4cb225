// AMX with the vectors of AVX-512 and its tile unit in plain C++: for tests on machines without it.
#if defined(__x86_64__)
#include "kernels/linear/linear_amx.h"
#include "kernels/linear/linear_backend_avx512.h"

namespace vllm::linear {
namespace {

void tile(const TileArgs& args) {
  if (!amx_tile<Avx512, EmulatedTiles>(args)) avx512_kernels().tile(args);
}

}  // namespace

const Kernels& amx_emulated_avx512_kernels() {
  static constexpr Kernels kKernels = {"amx_emulated_avx512",   tile,  quantize<Avx512>,
                                       round_to_bfloat16_pairs, false, unpack_compact_panels<Avx512>};
  return kKernels;
}

}  // namespace vllm::linear
#endif
