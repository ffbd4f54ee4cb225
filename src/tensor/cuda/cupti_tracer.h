#pragma once
// Records what the GPU does with CUPTI, which is opened at run time: only a profile needs it. One tracer per process.
#include <memory>

#include "profile/gpu_trace.h"

namespace vllm {

/// Open libcupti: VLLM_CUPTI_PATH, then the loader's path, then the toolkit's folders. kNotFound says what to install.
/// Best called before the first graph is captured; records nothing until start().
Result<std::unique_ptr<profile::GpuTracer>> make_cupti_tracer();

/// What this thread launches while one of these lives belongs to a step. Costs one load while nothing records.
class GpuStepScope {
 public:
  explicit GpuStepScope(int64_t step);
  GpuStepScope(const GpuStepScope&) = delete;
  GpuStepScope& operator=(const GpuStepScope&) = delete;
  ~GpuStepScope();

 private:
  bool pushed_ = false;
};

}  // namespace vllm
