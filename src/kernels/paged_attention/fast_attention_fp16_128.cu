#include "kernels/paged_attention/fast_attention.cuh"

namespace vllm {

extern const FastAttention kFastAttentionFloat16_128;
const FastAttention kFastAttentionFloat16_128 = FastAttentionOf<__half, 128>::kEntry;

}  // namespace vllm
