#include "kernels/paged_attention/fast_attention.cuh"

namespace vllm {

extern const FastAttention kFastAttentionBFloat16_256;
const FastAttention kFastAttentionBFloat16_256 = FastAttentionOf<__nv_bfloat16, 256>::kEntry;

}  // namespace vllm
