#include "kernels/linear/linear_wgmma.cuh"

namespace vllm::linear_cuda_impl {
Status launch_wgmma_bf16(const WgmmaCall& call, int tile_rows, int tile_tokens, StreamRef stream) {
  return launch_wgmma_of<__nv_bfloat16>(call, tile_rows, tile_tokens, stream);
}
Status prepare_wgmma_bf16(int max_shared) { return prepare_wgmma_of<__nv_bfloat16>(max_shared); }
}  // namespace vllm::linear_cuda_impl
