#include "kernels/rope/rope_impl.h"
#include "kernels/simd/vec_avx2.h"

namespace vllm {
void rope_token_avx2(const RopeToken& r) { rope_token<VecAvx2>(r); }
}  // namespace vllm
