#include "kernels/layer_norm/layer_norm_impl.h"
#include "kernels/simd/vec_neon.h"

namespace vllm {
void layer_norm_run_neon(const LayerNormRun& r) { layer_norm_run<VecNeon>(r); }
}  // namespace vllm
