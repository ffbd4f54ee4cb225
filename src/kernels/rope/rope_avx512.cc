#include "kernels/rope/rope_impl.h"
#include "kernels/simd/vec_avx512.h"

namespace vllm {
void rope_token_avx512(const RopeToken& r) { rope_token<VecAvx512>(r); }
}  // namespace vllm
