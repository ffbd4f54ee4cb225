#include "engine/exec/cuda/testing/trap.h"

#include "tensor/cuda/error.h"

namespace vllm::engine::testing {
namespace {
__global__ void trap() { __trap(); }
}  // namespace

Status prepare_trap() {
  cudaFuncAttributes attributes;
  CUDA_RETURN_IF_ERROR(cudaFuncGetAttributes(&attributes, trap));
  return {};
}

Status launch_trap(StreamRef stream) {
  trap<<<1, 1, 0, static_cast<cudaStream_t>(stream.handle)>>>();
  return cuda_status(cudaGetLastError(), "the launch of a trap");
}

}  // namespace vllm::engine::testing
