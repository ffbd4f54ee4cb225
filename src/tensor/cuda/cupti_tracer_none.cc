// The tracer of a build whose toolkit came without CUPTI's headers.
#include "tensor/cuda/cupti_tracer.h"

namespace vllm {

Result<std::unique_ptr<profile::GpuTracer>> make_cupti_tracer() {
  return error(ErrorCode::kUnimplemented,
               "this program was built without CUPTI's headers and cannot profile a GPU; build it with a CUDA toolkit "
               "that has them (package cuda-cupti-dev-13-0, or nvidia-cuda-cupti of PyPI)");
}

GpuStepScope::GpuStepScope(int64_t) {}
GpuStepScope::~GpuStepScope() { (void)pushed_; }

}  // namespace vllm
