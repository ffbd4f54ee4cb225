#include "kernels/layer_norm/layer_norm_impl.h"
#include "kernels/simd/vec_avx2.h"

namespace vllm {
void layer_norm_run_avx2(const LayerNormRun& r) { layer_norm_run<VecAvx2>(r); }
}  // namespace vllm
