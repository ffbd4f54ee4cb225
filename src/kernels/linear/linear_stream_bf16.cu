#include "kernels/linear/linear_stream.cuh"

namespace vllm::linear_cuda_impl {
Status launch_stream_bf16(const StreamArgs& args, const LinearConfig& config, StreamRef stream) {
  return launch_stream_of<__nv_bfloat16>(args, config, stream);
}
Status prepare_stream_bf16(int max_shared) { return prepare_stream_of<__nv_bfloat16>(max_shared); }
}  // namespace vllm::linear_cuda_impl
