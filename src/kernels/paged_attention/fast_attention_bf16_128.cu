#include "kernels/paged_attention/fast_attention.cuh"

namespace vllm {

extern const FastAttention kFastAttentionBFloat16_128;
const FastAttention kFastAttentionBFloat16_128 = FastAttentionOf<__nv_bfloat16, 128>::kEntry;

}  // namespace vllm
