#include "kernels/activation/activation_impl.h"
#include "kernels/simd/vec_avx2.h"

namespace vllm {

ActivationRows activation_rows_avx2() {
  return {activation_row<VecAvx2, Silu>, activation_row<VecAvx2, GeluTanh>, activation_row<VecAvx2, Gelu>,
          activation_row<VecAvx2, Relu>};
}

}  // namespace vllm
