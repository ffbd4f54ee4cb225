#include "model/cuda/softcap.h"

#include "tensor/cuda/launch.cuh"

namespace vllm::model {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads)
    softcap_rows(float* x, int64_t stride, int64_t columns, float scale, float cap) {
  pdl_launch();
  pdl_wait();
  const int64_t i = int64_t{blockIdx.y} * kThreads + threadIdx.x;
  if (i >= columns) return;
  float& value = x[int64_t{blockIdx.x} * stride + i];
  const float scaled = scale * value;
  value = cap > 0 ? cap * tanhf(scaled / cap) : scaled;
}

}  // namespace

Status softcap_cuda(TensorView<float, 2> x, float scale, float cap, StreamRef stream) {
  const int64_t rows = x.size(0), columns = x.size(1);
  if (rows == 0 || columns == 0) return {};
  const int64_t chunks = (columns + kThreads - 1) / kThreads;
  if (rows > INT32_MAX || chunks > 65535) return invalid_argument("softcap: [{}, {}] is too large", rows, columns);
  return launch(softcap_rows, {dim3(static_cast<unsigned>(rows), static_cast<unsigned>(chunks)), dim3(kThreads)},
                stream, x.data, x.stride[0], columns, scale, cap);
}

}  // namespace vllm::model
