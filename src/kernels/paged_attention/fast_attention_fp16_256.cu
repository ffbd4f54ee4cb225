#include "kernels/paged_attention/fast_attention.cuh"

namespace vllm {

extern const FastAttention kFastAttentionFloat16_256;
const FastAttention kFastAttentionFloat16_256 = FastAttentionOf<__half, 256>::kEntry;

}  // namespace vllm
