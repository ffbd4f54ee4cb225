#include "kernels/layer_norm/layer_norm_impl.h"
#include "kernels/simd/vec_avx512.h"

namespace vllm {
void layer_norm_run_avx512(const LayerNormRun& r) { layer_norm_run<VecAvx512>(r); }
}  // namespace vllm
