#include "kernels/residual_add/residual_add_impl.h"
#include "kernels/simd/vec_neon.h"

namespace vllm {
void residual_add_row_neon(float* x, const float* y, int64_t n, float scale) {
  residual_add_row<VecNeon>(x, y, n, scale);
}
}  // namespace vllm
