#include "kernels/activation/activation_impl.h"
#include "kernels/simd/vec_avx512.h"

namespace vllm {
void silu_row_avx512(const ActivationRow& r) { activation_row<VecAvx512, Silu>(r); }
void gelu_tanh_row_avx512(const ActivationRow& r) { activation_row<VecAvx512, GeluTanh>(r); }
}  // namespace vllm
