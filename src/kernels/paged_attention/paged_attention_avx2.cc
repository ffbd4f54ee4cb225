#include "kernels/paged_attention/paged_attention_impl.h"
#include "kernels/simd/vec_avx2.h"

namespace vllm {
void attend_avx2(const AttentionTask& task) { Attend<VecAvx2>{task}.run(); }
}  // namespace vllm
