#if defined(__x86_64__)
#include "kernels/linear/linear_backend_avx512.h"

namespace vllm::linear {

const Kernels& avx512_kernels() {
  static constexpr Kernels kKernels = {"avx512", tile_of_any_type<Avx512>, quantize<Avx512>, round_to_bfloat16<Avx512>};
  return kKernels;
}

}  // namespace vllm::linear
#endif
