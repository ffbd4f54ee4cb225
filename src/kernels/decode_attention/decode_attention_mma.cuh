#pragma once
// Instructions that decode_attention is made of.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

namespace vllm {

/// d [16, 8] += a [16, 16] b [16, 8]; operands as the PTX manual lays out mma.m16n8k16.
template <typename T>
__device__ __forceinline__ void mma(float (&d)[4], uint32_t a0, uint32_t a1, uint32_t a2, uint32_t a3, uint32_t b0,
                                    uint32_t b1) {
  if constexpr (std::is_same_v<T, __half>) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
  } else {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
  }
}

/// Two values as a register, the first in the lower half.
template <typename T>
__device__ __forceinline__ uint32_t pack2(float x, float y) {
  uint32_t out;
  if constexpr (std::is_same_v<T, __half>) {
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(y), "f"(x));
  } else {
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(y), "f"(x));
  }
  return out;
}

/// Of an 8x8 matrix of 16-bit values, lane 4 r + c holding row r, columns 2 c and 2 c + 1.
__device__ __forceinline__ uint32_t transpose_8x8(uint32_t x) {
  uint32_t out;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(out) : "r"(x));
  return out;
}

__device__ __forceinline__ float exp2_approx(float x) {
  float out;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(x));
  return out;
}

/// 16 bytes that are read once, or zeros without an access.
__device__ __forceinline__ void load_stream(uint32_t (&out)[4], const void* from, bool used) {
  asm volatile(
      "{\n .reg .pred p;\n setp.ne.b32 p, %5, 0;\n mov.b32 %0, 0;\n mov.b32 %1, 0;\n mov.b32 %2, 0;\n mov.b32 %3, 0;\n"
      " @p ld.global.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];\n}"
      : "=&r"(out[0]), "=&r"(out[1]), "=&r"(out[2]), "=&r"(out[3])
      : "l"(from), "r"(static_cast<int>(used)));
}
__device__ __forceinline__ void load_shared(uint32_t (&out)[4], const void* from, bool used) {
  const uint4 x = used ? *static_cast<const uint4*>(from) : make_uint4(0, 0, 0, 0);
  out[0] = x.x, out[1] = x.y, out[2] = x.z, out[3] = x.w;
}

/// Where `address` of this block's shared memory lies in block `rank` of the cluster.
__device__ __forceinline__ uint32_t remote_address(const void* address, int rank) {
  uint32_t out;
  asm("mapa.shared::cluster.u32 %0, %1, %2;"
      : "=r"(out)
      : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(address))), "r"(rank));
  return out;
}
__device__ __forceinline__ void store_remote(float* to, int rank, float x) {
  asm volatile("st.shared::cluster.f32 [%0], %1;" ::"r"(remote_address(to, rank)), "f"(x) : "memory");
}
__device__ __forceinline__ void store_remote(float2* to, int rank, float2 x) {
  asm volatile("st.shared::cluster.v2.f32 [%0], {%1, %2};" ::"r"(remote_address(to, rank)), "f"(x.x), "f"(x.y)
               : "memory");
}

/// The cluster's barrier. Stores before cluster_arrive are seen after cluster_wait.
__device__ __forceinline__ void cluster_arrive_relaxed() {
  asm volatile("barrier.cluster.arrive.relaxed;" ::: "memory");
}
__device__ __forceinline__ void cluster_arrive() { asm volatile("barrier.cluster.arrive.release;" ::: "memory"); }
__device__ __forceinline__ void cluster_wait() { asm volatile("barrier.cluster.wait.acquire;" ::: "memory"); }

}  // namespace vllm
