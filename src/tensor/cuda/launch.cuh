#pragma once
// Kernel launches with programmatic dependent launch (PDL), and its two device-side calls.
//
// Every kernel of ours is launched with the programmatic attribute: it may start while the kernel in front of it
// drains. So each of its threads calls pdl_wait() before it touches memory that an earlier kernel may read or write;
// only what nobody writes (weights) may be read or prefetched before. pdl_launch() lets the next kernel start early.
#include <cuda_runtime.h>

#include "tensor/cuda/error.h"
#include "tensor/cuda/stream_ref.h"

namespace vllm {

__device__ __forceinline__ void pdl_wait() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
__device__ __forceinline__ void pdl_launch() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

struct LaunchShape {
  dim3 grid, block;
  size_t smem_bytes = 0;  // above 48 KB: allow_smem first, once, at start
  bool pdl = true;        // false for kernels that do not call pdl_wait (borrowed ones)
  // Percent of an SM's L1 that is shared memory, or -1: the driver's choice. Kernels of different splits cannot share
  // an SM, so 100 lets a kernel overlap with neighbours that use much shared memory.
  int carveout = -1;
};

template <typename... Params, typename... Args>
Status launch(void (*kernel)(Params...), const LaunchShape& shape, StreamRef stream, Args&&... args) {
  cudaLaunchAttribute attributes[2]{};
  unsigned count = 0;
  if (shape.pdl) {
    attributes[count].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attributes[count++].val.programmaticStreamSerializationAllowed = 1;
  }
  if (shape.carveout >= 0) {
    attributes[count].id = cudaLaunchAttributePreferredSharedMemoryCarveout;
    attributes[count++].val.sharedMemCarveout = static_cast<unsigned>(shape.carveout);
  }
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid, config.blockDim = shape.block, config.dynamicSmemBytes = shape.smem_bytes;
  config.stream = static_cast<cudaStream_t>(stream.handle);
  config.attrs = attributes, config.numAttrs = count;
  return cuda_status(cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...), "kernel launch");
}

/// Let a kernel use up to `bytes` of dynamic shared memory.
template <typename... Params>
Status allow_smem(void (*kernel)(Params...), size_t bytes) {
  return cuda_status(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
                     "cudaFuncSetAttribute");
}

}  // namespace vllm
