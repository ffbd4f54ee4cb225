#pragma once
// CUDA's return codes as Status. Includes the runtime's header: for .cc and .cu files of CUDA libraries only.
#include <cuda_runtime_api.h>

#include "base/result.h"

namespace vllm {

/// kResourceExhausted for out of memory, kInternal for the rest; the message has the call and CUDA's own words.
Status cuda_status(cudaError_t code, const char* what);

}  // namespace vllm

#define CUDA_RETURN_IF_ERROR(expression)                                  \
  do {                                                                    \
    if (cudaError_t cuda_code_ = (expression); cuda_code_ != cudaSuccess) \
      return ::vllm::cuda_status(cuda_code_, #expression).error();        \
  } while (0)
