#pragma once
// The GPU that this process uses, and why there is none where there is none.
#include <cstddef>
#include <string>

#include "base/result.h"

namespace vllm {

struct CudaDevice {
  int ordinal = 0;  // among the visible devices
  std::string name;
  int compute_major = 0, compute_minor = 0;
  int sm_count = 0;
  size_t total_bytes = 0;
  size_t free_bytes = 0;  // when it was opened, our own context included
  size_t l2_bytes = 0;
  size_t shared_bytes = 0;  // a block may opt in to
  int driver_version = 0;   // 13000: CUDA 13.0
};

/// Make the device current for the calling thread and create its context (0.2 to 0.3 s the first time). Errors begin
/// with "GPU not found" and say why: no driver, a driver that is too old, a container without access, no such ordinal,
/// an architecture that this binary has no code for.
Result<CudaDevice> open_cuda_device(int ordinal);
/// Make an opened device current for another thread.
Status use_cuda_device(int ordinal);
/// Free and total bytes of the current device.
struct CudaMemory {
  size_t free_bytes = 0, total_bytes = 0;
};
Result<CudaMemory> cuda_memory();
/// "NVIDIA H200 (sm_90, 132 SMs, 139.8 GiB)": for logs and measurements.
std::string to_string(const CudaDevice& device);

}  // namespace vllm
