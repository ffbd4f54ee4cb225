#include "kernels/activation/activation_impl.h"
#include "kernels/simd/vec_neon.h"

namespace vllm {

ActivationRows activation_rows_neon() {
  return {activation_row<VecNeon, Silu>, activation_row<VecNeon, GeluTanh>, activation_row<VecNeon, Gelu>,
          activation_row<VecNeon, Relu>};
}

}  // namespace vllm
