#include "kernels/rope/rope_impl.h"
#include "kernels/simd/vec_neon.h"

namespace vllm {
void rope_token_neon(const RopeToken& r) { rope_token<VecNeon>(r); }
}  // namespace vllm
