#include "kernels/activation/activation_impl.h"
#include "kernels/simd/vec_avx2.h"

namespace vllm {
void silu_row_avx2(const ActivationRow& r) { activation_row<VecAvx2, Silu>(r); }
void gelu_tanh_row_avx2(const ActivationRow& r) { activation_row<VecAvx2, GeluTanh>(r); }
}  // namespace vllm
