#include "kernels/qkv_finish/qkv_finish_cuda.h"
#include "tensor/cuda/launch.cuh"

namespace vllm {
namespace {

/// One thread an angle. Tokens are rows of `half` values, `cos_stride` and `sin_stride` apart.
__global__ void rope_table(float* cos_out, float* sin_out, int64_t cos_stride, int64_t sin_stride,
                           const int32_t* positions, const double* inv_freq, double scale, int half, int64_t count) {
  pdl_launch();
  int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  int64_t t = i / half;
  int d = static_cast<int>(i - t * half);
  double frequency = i < count ? inv_freq[d] : 0;  // written once, at load
  pdl_wait();
  if (i >= count) return;
  double c, s;
  sincos(positions[t] * frequency, &s, &c);
  cos_out[t * cos_stride + d] = static_cast<float>(c * scale);
  sin_out[t * sin_stride + d] = static_cast<float>(s * scale);
}

}  // namespace

Status rope_table_cuda(const RopeTableCudaParams& p, StreamRef stream) {
  if (p.cos.shape != p.sin.shape) return invalid_argument("rope_table: cos and sin differ in shape");
  int64_t count = p.cos.num_elements();
  if (count == 0) return {};
  constexpr int kThreads = 128;
  return launch(rope_table, {dim3(static_cast<unsigned>((count + kThreads - 1) / kThreads)), dim3(kThreads)}, stream,
                p.cos.data, p.sin.data, p.cos.stride[0], p.sin.stride[0], p.positions, p.inv_freq, p.scale,
                static_cast<int>(p.cos.size(1)), count);
}

}  // namespace vllm
