#include "kernels/rms_norm/rms_norm_impl.h"
#include "kernels/simd/vec_avx512.h"

namespace vllm {
void rms_norm_row_avx512(const RmsNormRow& r) { rms_norm_row<VecAvx512>(r); }
}  // namespace vllm
