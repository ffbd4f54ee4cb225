#include "kernels/rms_norm/rms_norm_impl.h"
#include "kernels/simd/vec_neon.h"

namespace vllm {
void rms_norm_row_neon(const RmsNormRow& r) { rms_norm_row<VecNeon>(r); }
}  // namespace vllm
