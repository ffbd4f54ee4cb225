#include "kernels/rms_norm/rms_norm_impl.h"
#include "kernels/simd/vec_avx2.h"

namespace vllm {
void rms_norm_row_avx2(const RmsNormRow& r) { rms_norm_row<VecAvx2>(r); }
}  // namespace vllm
