#pragma once
// Launches of clusters of thread blocks.
#include "tensor/cuda/launch.cuh"

namespace vllm {

/// As launch(), with `cluster` neighbours of the grid's x dimension as a cluster. Above 8 the kernel must have been
/// allowed it (cudaFuncAttributeNonPortableClusterSizeAllowed).
template <typename... Params, typename... Args>
Status launch_cluster(void (*kernel)(Params...), const LaunchShape& shape, unsigned cluster, StreamRef stream,
                      Args&&... args) {
  cudaLaunchAttribute attributes[3]{};
  unsigned count = 0;
  attributes[count].id = cudaLaunchAttributeClusterDimension;
  attributes[count++].val.clusterDim = {cluster, 1, 1};
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

}  // namespace vllm
