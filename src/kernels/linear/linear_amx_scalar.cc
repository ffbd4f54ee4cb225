// AMX in plain C++, tile unit and vectors: for any CPU and any sanitizer.
#include "kernels/linear/linear_amx.h"
#include "kernels/linear/linear_backend_scalar.h"

namespace vllm::linear {
namespace {

void tile(const TileArgs& args) {
  if (!amx_tile<Scalar, EmulatedTiles>(args)) scalar_kernels().tile(args);
}

}  // namespace

const Kernels& amx_emulated_kernels() {
  static constexpr Kernels kKernels = {"amx_emulated", tile, quantize<Scalar>, round_to_bfloat16_pairs};
  return kKernels;
}

}  // namespace vllm::linear
