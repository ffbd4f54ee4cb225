#include "kernels/paged_attention/paged_attention_impl.h"
#include "kernels/simd/vec_avx512.h"

namespace vllm {
void attend_avx512(const AttentionTask& task) { Attend<VecAvx512>{task}.run(); }
}  // namespace vllm
