#include "kernels/paged_attention/paged_attention_impl.h"
#include "kernels/simd/vec_generic.h"

namespace vllm {
void attend_generic(const AttentionTask& task) { Attend<VecGeneric>{task}.run(); }
}  // namespace vllm
