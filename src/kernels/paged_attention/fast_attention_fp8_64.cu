#include "kernels/paged_attention/fast_attention.cuh"

namespace vllm {

extern const FastAttention kFastAttentionFloat8_64;
const FastAttention kFastAttentionFloat8_64 = FastAttentionOf<__nv_bfloat16, 64, __nv_fp8_e4m3>::kEntry;

}  // namespace vllm
