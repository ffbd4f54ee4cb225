#include "kernels/activation/activation_impl.h"
#include "kernels/simd/vec_avx512.h"

namespace vllm {

ActivationRows activation_rows_avx512() {
  return {activation_row<VecAvx512, Silu>, activation_row<VecAvx512, GeluTanh>, activation_row<VecAvx512, Gelu>,
          activation_row<VecAvx512, Relu>};
}

}  // namespace vllm
