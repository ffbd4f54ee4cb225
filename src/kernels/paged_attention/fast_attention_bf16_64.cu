#include "kernels/paged_attention/fast_attention.cuh"

namespace vllm {

extern const FastAttention kFastAttentionBFloat16_64;
const FastAttention kFastAttentionBFloat16_64 = FastAttentionOf<__nv_bfloat16, 64>::kEntry;

}  // namespace vllm
