#pragma once
// A kernel that traps: after it the process's CUDA context is dead, and every call returns the error. What a broken
// device or a fault in a kernel looks like from the host.
#include "base/result.h"
#include "tensor/cuda/stream_ref.h"

namespace vllm::engine::testing {

/// Load the kernel, so that launch_trap has nothing to load while steps are in flight.
Status prepare_trap();
Status launch_trap(StreamRef stream);

}  // namespace vllm::engine::testing
