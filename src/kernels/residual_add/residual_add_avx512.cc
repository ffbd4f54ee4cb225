#include "kernels/residual_add/residual_add_impl.h"
#include "kernels/simd/vec_avx512.h"

namespace vllm {
void residual_add_row_avx512(float* x, const float* y, int64_t n, float scale) {
  residual_add_row<VecAvx512>(x, y, n, scale);
}
}  // namespace vllm
