#include "kernels/paged_attention/paged_attention_impl.h"
#include "kernels/simd/vec_neon.h"

namespace vllm {
void attend_neon(const AttentionTask& task) { Attend<VecNeon>{task}.run(); }
}  // namespace vllm
