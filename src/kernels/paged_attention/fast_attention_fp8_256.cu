#include "kernels/paged_attention/fast_attention.cuh"

namespace vllm {

extern const FastAttention kFastAttentionFloat8_256;
const FastAttention kFastAttentionFloat8_256 = FastAttentionOf<__nv_bfloat16, 256, __nv_fp8_e4m3>::kEntry;

}  // namespace vllm
