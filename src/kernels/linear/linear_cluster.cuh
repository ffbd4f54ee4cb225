#pragma once
// Clusters of blocks: their barrier, and reading out of each other's shared memory.
#include <cstdint>

namespace vllm::linear_cuda_impl {

/// The address in block `rank` of the cluster of what lies at `address` here.
__device__ __forceinline__ uint32_t cluster_address(uint32_t address, uint32_t rank) {
  uint32_t remote;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(remote) : "r"(address), "r"(rank));
  return remote;
}
/// Says that reading is done. It publishes no writes to other blocks: that would take a fence of the whole device.
__device__ __forceinline__ void barrier_arrive_remote(uint32_t cluster_barrier) {
  asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(cluster_barrier) : "memory");
}
/// The two halves of a barrier of all threads of the cluster that have not exited; for whole warps. It orders no memory
/// but initialized barriers behind their fence.
__device__ __forceinline__ void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
}
/// The same, and what was written to shared memory before is seen by all after the wait: a fence of the whole device.
__device__ __forceinline__ void cluster_arrive_release() {
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
__device__ __forceinline__ void cluster_wait() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }
__device__ __forceinline__ float4 load_remote(uint32_t cluster_place) {
  float4 v;
  asm volatile("ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "r"(cluster_place)
               : "memory");
  return v;
}

}  // namespace vllm::linear_cuda_impl
