// Plain C++ over the same panels and loops, for any CPU and any sanitizer. Quantized weights give the same bits as in
// the other ISAs; plain ones are multiplied and added in two roundings, since a fused one is a call of the C library.
#include "kernels/linear/linear_backend_scalar.h"

namespace vllm::linear {

const Kernels& scalar_kernels() {
  static constexpr Kernels kKernels = {"scalar", tile_of_any_type<Scalar>, quantize<Scalar>, round_to_bfloat16<Scalar>};
  return kKernels;
}

}  // namespace vllm::linear
