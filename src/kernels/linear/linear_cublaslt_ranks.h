#pragma once
// Which of cuBLASLt's proposals is fastest, where that is not the first: recorded, never timed while serving.
#include <cstddef>

#include "kernels/linear/linear_cublaslt.h"

namespace vllm {

/// The rank to take for a shape; 0 where nothing better is recorded, or for another library version or device than the
/// record's (13.1.0 on an H200; `linear_cuda_bench --algos` makes a new one).
int recorded_rank(const CublasLtShape& shape, size_t library_version, int sm_count);

}  // namespace vllm
