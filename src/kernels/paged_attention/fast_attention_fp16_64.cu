#include "kernels/paged_attention/fast_attention.cuh"

namespace vllm {

extern const FastAttention kFastAttentionFloat16_64;
const FastAttention kFastAttentionFloat16_64 = FastAttentionOf<__half, 64>::kEntry;

}  // namespace vllm
