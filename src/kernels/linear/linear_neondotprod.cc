// NEON with the dot product of bytes (Armv8.2: Neoverse N1, Cortex-A55, A76 and later).
#include "kernels/linear/linear_backend_neon.h"

namespace vllm::linear {

const Kernels& neon_dotprod_kernels() {
  static constexpr Kernels kKernels = {"neon_dotprod", tile_of_any_type<NeonDotProd>, quantize<NeonDotProd>,
                                       round_to_bfloat16<NeonDotProd>};
  return kKernels;
}

}  // namespace vllm::linear
