#include "kernels/linear/linear_stream.cuh"

namespace vllm::linear_cuda_impl {
Status launch_stream_f16(const StreamArgs& args, const LinearConfig& config, StreamRef stream) {
  return launch_stream_of<__half>(args, config, stream);
}
Status prepare_stream_f16(int max_shared) { return prepare_stream_of<__half>(max_shared); }

Status launch_stream_bf16(const StreamArgs& args, const LinearConfig& config, StreamRef stream);
Status prepare_stream_bf16(int max_shared);
}  // namespace vllm::linear_cuda_impl

namespace vllm {

Status prepare_linear_stream() {
  int device = 0, max_shared = 0;
  CUDA_RETURN_IF_ERROR(cudaGetDevice(&device));
  CUDA_RETURN_IF_ERROR(cudaDeviceGetAttribute(&max_shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, device));
  RETURN_IF_ERROR(linear_cuda_impl::prepare_stream_f16(max_shared));
  return linear_cuda_impl::prepare_stream_bf16(max_shared);
}

Status launch_linear_stream(DType dtype, const LinearKernelArgs& a, const LinearConfig& config, StreamRef stream) {
  using namespace linear_cuda_impl;
  const StreamArgs args{.weight = a.weight,
                        .x = a.x,
                        .x_stride = a.x_stride,
                        .norm_weight = config.fused_norm ? a.norm_weight : nullptr,
                        .norm_eps = a.norm_eps,
                        .num_tokens = a.num_tokens,
                        .n = a.n,
                        .k = a.k,
                        .prefetch_units = config.prefetch_units,
                        .launch_at = config.launch_at,
                        .epilogue = Epilogue(a, 2)};
  if (a.num_tokens < 1 || a.num_tokens > (config.staged_x ? 8 : kMaxStreamTokens))
    return error(ErrorCode::kInternal, "linear_stream: {} tokens", a.num_tokens);
  return dtype == DType::kFloat16 ? launch_stream_f16(args, config, stream) : launch_stream_bf16(args, config, stream);
}

}  // namespace vllm
