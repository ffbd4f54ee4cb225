#pragma once
// Hopper's matrix instruction over warpgroups as the attention uses it, as inline PTX. Matrices wider than a tile of 64
// columns (tensor/cuda/hopper.cuh) are several tiles.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "tensor/cuda/hopper.cuh"

namespace vllm::hopper {

template <int kRegisters>
__device__ __forceinline__ void raise_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void drop_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

/// A matrix in shared memory whose rows run along n, 64 of them in a tile, tiles `tile_bytes` apart; groups of 8 k are
/// 1,024 bytes apart.
__device__ __forceinline__ uint64_t rows_along_n(uint32_t address, uint32_t tile_bytes) {
  return (uint64_t{1} << 62) | (uint64_t{1024 / 16} << 32) | (uint64_t{tile_bytes / 16} << 16) |
         ((address & 0x3ffff) >> 4);
}

// d [64, 128] of a warpgroup (+)= a [64, 16] b [16, 128]. Thread t holds rows 16 (t / 32) + t % 32 / 4 and 8 further,
// columns 8 j + 2 (t % 4) and the next: d[4 j], d[4 j + 1] of the first row, d[4 j + 2], d[4 j + 3] of the second.
#define VLLM_SUMS                                                                    \
  "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "          \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, " \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}"
#define VLLM_SUM8(i)                                                                                          \
  "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), \
      "+f"(d[i + 7])
#define VLLM_SUM64 \
  VLLM_SUM8(0), VLLM_SUM8(8), VLLM_SUM8(16), VLLM_SUM8(24), VLLM_SUM8(32), VLLM_SUM8(40), VLLM_SUM8(48), VLLM_SUM8(56)
/// Until at most kPending groups are under way; d is what the finished ones wrote.
template <int kPending>
__device__ __forceinline__ void mma_wait(float (&d)[64]) {
  asm volatile("wgmma.wait_group.sync.aligned %64;" : VLLM_SUM64 : "n"(kPending) : "memory");
}

// mma_shared: a and b in shared memory, both along k. mma_registers: a in registers (as two neighbouring groups of d's
// columns are held), b in shared memory along n.
#define VLLM_MMA(T, TYPE)                                                                                              \
  __device__ __forceinline__ void mma_shared(T, float(&d)[64], uint64_t a, uint64_t b, int accumulate) {               \
    asm volatile(                                                                                                      \
        "{\n .reg .pred p;\n setp.ne.b32 p, %66, 0;\n"                                                                 \
        "wgmma.mma_async.sync.aligned.m64n128k16.f32." TYPE "." TYPE " " VLLM_SUMS ", %64, %65, p, 1, 1, 0, 0;\n}"     \
        : VLLM_SUM64                                                                                                   \
        : "l"(a), "l"(b), "r"(accumulate));                                                                            \
  }                                                                                                                    \
  __device__ __forceinline__ void mma_registers(T, float(&d)[64], const uint32_t(&a)[4], uint64_t b, int accumulate) { \
    asm volatile(                                                                                                      \
        "{\n .reg .pred p;\n setp.ne.b32 p, %69, 0;\n"                                                                 \
        "wgmma.mma_async.sync.aligned.m64n128k16.f32." TYPE "." TYPE " " VLLM_SUMS                                     \
        ", {%64, %65, %66, %67}, %68, p, 1, 1, 1;\n}"                                                                  \
        : VLLM_SUM64                                                                                                   \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(accumulate));                                        \
  }
VLLM_MMA(__nv_bfloat16, "bf16")
VLLM_MMA(__half, "f16")
#undef VLLM_SUMS
#undef VLLM_SUM8
#undef VLLM_SUM64
#undef VLLM_MMA

}  // namespace vllm::hopper
