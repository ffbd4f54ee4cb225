#include "kernels/paged_attention/fast_attention.cuh"

namespace vllm {

extern const FastAttention kFastAttentionFloat8_128;
const FastAttention kFastAttentionFloat8_128 = FastAttentionOf<__nv_bfloat16, 128, __nv_fp8_e4m3>::kEntry;

}  // namespace vllm
