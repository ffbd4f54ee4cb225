#pragma once
// Hopper's bulk and tensor copies, the barriers in shared memory that they complete on, and what stands around
// warpgroup products, as inline PTX.
//
// A place in shared memory is its 32-bit address there (shared_address); barriers may also be named by pointer.
#include <cuda.h>

#include <cstdint>

namespace vllm {

__device__ __forceinline__ uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// Barriers. A phase ends when all arrivals and all announced bytes have come.
__device__ __forceinline__ void barrier_init(uint32_t barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
/// What was initialized is visible to the copy engine and, after a barrier of the cluster, to its other blocks.
__device__ __forceinline__ void barrier_init_fence() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
/// One arrival, and `bytes` that copies will bring before the phase ends.
__device__ __forceinline__ void barrier_expect(uint32_t barrier, uint32_t bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}
__device__ __forceinline__ void barrier_arrive(uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
/// Wait until the phase of parity `parity` is over; the phase before the first one counts as over with parity 1.
__device__ __forceinline__ void barrier_wait(uint32_t barrier, uint32_t parity) {
  uint32_t done = 0;
  while (done == 0) {
    asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
                 : "=r"(done)
                 : "r"(barrier), "r"(parity)
                 : "memory");
  }
}
__device__ __forceinline__ void barrier_init(uint64_t* barrier, uint32_t arrivals) {
  barrier_init(shared_address(barrier), arrivals);
}
__device__ __forceinline__ void barrier_expect(uint64_t* barrier, uint32_t bytes) {
  barrier_expect(shared_address(barrier), bytes);
}
__device__ __forceinline__ void barrier_arrive(uint64_t* barrier) { barrier_arrive(shared_address(barrier)); }
/// The same; its loop is PTX too, which ptxas keeps as it is (the attention kernels are scheduled around that).
__device__ __forceinline__ void barrier_wait(const uint64_t* barrier, uint32_t parity) {
  asm volatile(
      "{\n .reg .pred done;\nagain:\n mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      " @!done bra again;\n}" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}

/// What this thread wrote to shared memory is seen by tensor copies and matrix instructions after a barrier.
__device__ __forceinline__ void proxy_fence() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
/// A barrier of `threads` threads; ids 1 to 15.
__device__ __forceinline__ void named_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
__device__ __forceinline__ void named_arrive(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

/// Copy a run of memory; `bytes` and both addresses are multiples of 16.
__device__ __forceinline__ void bulk_copy(void* to, const void* from, uint32_t bytes, uint64_t* barrier) {
  asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                   shared_address(to)),
               "l"(from), "r"(bytes), "r"(shared_address(barrier))
               : "memory");
}
__device__ __forceinline__ void tensor_map_prefetch(const CUtensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}
/// Copy the box at column c, row r of the map's matrix; outside of the matrix it has zeros, which count as bytes too.
__device__ __forceinline__ void tensor_copy(uint32_t dst, const CUtensorMap& map, int c, int r, uint32_t barrier,
                                            uint64_t policy) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint"
      " [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(dst),
      "l"(&map), "r"(c), "r"(r), "r"(barrier), "l"(policy)
      : "memory");
}
__device__ __forceinline__ void tensor_copy(uint32_t dst, const CUtensorMap& map, int c, int r, uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
          dst),
      "l"(&map), "r"(c), "r"(r), "r"(barrier)
      : "memory");
}
/// The same into each block of the cluster whose bit is set, at the same place, with its own barrier there.
__device__ __forceinline__ void tensor_copy_multicast(uint32_t dst, const CUtensorMap& map, int c, int r,
                                                      uint32_t barrier, uint16_t blocks) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster"
      " [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(dst),
      "l"(&map), "r"(c), "r"(r), "r"(barrier), "h"(blocks)
      : "memory");
}
/// A box of a tensor of rank 3; `to` a multiple of 128 bytes.
__device__ __forceinline__ void tensor_copy(void* to, const CUtensorMap* map, int c0, int c1, int c2,
                                            uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4, %5}], [%2];" ::
          "r"(shared_address(to)),
      "l"(map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "r"(c2)
      : "memory");
}
__device__ __forceinline__ void tensor_prefetch_l2(const CUtensorMap& map, int c, int r) {
  asm volatile("cp.async.bulk.prefetch.tensor.2d.L2.global [%0, {%1, %2}];" ::"l"(&map), "r"(c), "r"(r) : "memory");
}

// Around warpgroup products. Tiles in shared memory are rows of 64 two-byte elements (128 bytes) in the 128-byte
// swizzle: the 16-byte chunk c of row r lies at chunk c ^ (r % 8). A tile begins at a multiple of 1,024 bytes.

/// The descriptor of a tile whose rows run along k: groups of 8 rows are 1,024 bytes apart. + 2 for each 16 k further.
__device__ __forceinline__ uint64_t rows_along_k(uint32_t address) {
  constexpr uint64_t kSwizzle128 = uint64_t{1} << 62, kAtomStride = uint64_t{1024 / 16} << 32,
                     kLeading = uint64_t{1} << 16;
  return kSwizzle128 | kAtomStride | kLeading | ((address & 0x3ffff) >> 4);
}
__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
/// Wait until at most kPending groups of products are under way.
template <int kPending>
__device__ __forceinline__ void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

}  // namespace vllm
