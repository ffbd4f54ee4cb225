// The CUDA executor of a build without CUDA.
#include "engine/exec/cuda_executor.h"

namespace vllm::engine {

bool built_with_cuda() { return false; }

std::string why_no_gpu(int) {
  return "GPU not found: this program was built without CUDA; take the image vllm-openai or build it with CUDA (./run "
         "build --cuda), or use --device cpu";
}

Result<std::unique_ptr<profile::GpuTracer>> make_gpu_tracer() {
  return Error{ErrorCode::kUnimplemented, why_no_gpu(0), {}};
}

Result<CudaEngineParts> make_cuda_executor(const model::ModelConfig&, std::shared_ptr<const Checkpoint>,
                                           const model::LoadOptions&, const CudaExecutorOptions&) {
  return Error{ErrorCode::kUnimplemented, why_no_gpu(0), {}};
}

}  // namespace vllm::engine
