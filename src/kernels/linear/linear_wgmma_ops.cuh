#pragma once
// Hopper's warpgroup product m64nNk16: d += a * b, both operands in shared memory, sums in registers.
//
// Operands are tiles of 64 k by their descriptors (rows_along_k). Thread t of the warpgroup has of d, for column group
// j of 8: d[4j], d[4j + 1] at row 16 (t / 32) + t % 32 / 4, columns 8j + 2 (t % 4) and the next one; d[4j + 2], d[4j +
// 3] eight rows further down.
#include <cstdint>

#include "tensor/cuda/hopper.cuh"
#include "tensor/cuda/types.cuh"

namespace vllm::linear_cuda_impl {

#define VLLM_REGS1 "%0,%1,%2,%3,%4,%5,%6,%7"
#define VLLM_REGS2 \
  VLLM_REGS1       \
  ","              \
  "%8,%9,%10,%11,%12,%13,%14,%15"
#define VLLM_REGS3 \
  VLLM_REGS2       \
  ","              \
  "%16,%17,%18,%19,%20,%21,%22,%23"
#define VLLM_REGS4 \
  VLLM_REGS3       \
  ","              \
  "%24,%25,%26,%27,%28,%29,%30,%31"
#define VLLM_REGS5 \
  VLLM_REGS4       \
  ","              \
  "%32,%33,%34,%35,%36,%37,%38,%39"
#define VLLM_REGS6 \
  VLLM_REGS5       \
  ","              \
  "%40,%41,%42,%43,%44,%45,%46,%47"
#define VLLM_REGS7 \
  VLLM_REGS6       \
  ","              \
  "%48,%49,%50,%51,%52,%53,%54,%55"
#define VLLM_REGS8 \
  VLLM_REGS7       \
  ","              \
  "%56,%57,%58,%59,%60,%61,%62,%63"
#define VLLM_REGS9 \
  VLLM_REGS8       \
  ","              \
  "%64,%65,%66,%67,%68,%69,%70,%71"
#define VLLM_REGS10 \
  VLLM_REGS9        \
  ","               \
  "%72,%73,%74,%75,%76,%77,%78,%79"
#define VLLM_REGS11 \
  VLLM_REGS10       \
  ","               \
  "%80,%81,%82,%83,%84,%85,%86,%87"
#define VLLM_REGS12 \
  VLLM_REGS11       \
  ","               \
  "%88,%89,%90,%91,%92,%93,%94,%95"
#define VLLM_REGS13 \
  VLLM_REGS12       \
  ","               \
  "%96,%97,%98,%99,%100,%101,%102,%103"
#define VLLM_REGS14 \
  VLLM_REGS13       \
  ","               \
  "%104,%105,%106,%107,%108,%109,%110,%111"
#define VLLM_REGS15 \
  VLLM_REGS14       \
  ","               \
  "%112,%113,%114,%115,%116,%117,%118,%119"
#define VLLM_REGS16 \
  VLLM_REGS15       \
  ","               \
  "%120,%121,%122,%123,%124,%125,%126,%127"
#define VLLM_SUMS4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define VLLM_SUMS8(i) VLLM_SUMS4(i), VLLM_SUMS4(i + 4)
#define VLLM_SUMS16(i) VLLM_SUMS8(i), VLLM_SUMS8(i + 8)
#define VLLM_SUMS32(i) VLLM_SUMS16(i), VLLM_SUMS16(i + 16)
#define VLLM_SUMS64(i) VLLM_SUMS32(i), VLLM_SUMS32(i + 32)
// The operands behind the sums, the descriptors, are numbered A and B.
#define VLLM_WGMMA_OF(SHAPE, TYPE, REGS, A, B, ...)                                                                \
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\nwgmma.mma_async.sync.aligned." SHAPE ".f32." TYPE "." TYPE \
               " {" REGS "}, %" #A ", %" #B ", p, 1, 1, 0, 0;\n}"                                                  \
               : __VA_ARGS__                                                                                       \
               : "l"(a), "l"(b))
#define VLLM_WGMMA(N, REGS, A, B, ...)                                              \
  template <typename T>                                                             \
  __device__ __forceinline__ void wgmma(float(&d)[N / 2], uint64_t a, uint64_t b) { \
    if constexpr (std::is_same_v<T, __half>) {                                      \
      VLLM_WGMMA_OF("m64n" #N "k16", "f16", REGS, A, B, __VA_ARGS__);               \
    } else {                                                                        \
      VLLM_WGMMA_OF("m64n" #N "k16", "bf16", REGS, A, B, __VA_ARGS__);              \
    }                                                                               \
  }

// d += a * b; float16 or bfloat16 by T.
VLLM_WGMMA(24, VLLM_REGS1 ",%8,%9,%10,%11", 12, 13, VLLM_SUMS8(0), VLLM_SUMS4(8))
VLLM_WGMMA(32, VLLM_REGS2, 16, 17, VLLM_SUMS16(0))
VLLM_WGMMA(48, VLLM_REGS3, 24, 25, VLLM_SUMS16(0), VLLM_SUMS8(16))
VLLM_WGMMA(64, VLLM_REGS4, 32, 33, VLLM_SUMS32(0))
VLLM_WGMMA(96, VLLM_REGS6, 48, 49, VLLM_SUMS32(0), VLLM_SUMS16(32))
VLLM_WGMMA(128, VLLM_REGS8, 64, 65, VLLM_SUMS64(0))
VLLM_WGMMA(256, VLLM_REGS16, 128, 129, VLLM_SUMS64(0), VLLM_SUMS64(64))
#undef VLLM_REGS1
#undef VLLM_REGS2
#undef VLLM_REGS3
#undef VLLM_REGS4
#undef VLLM_REGS5
#undef VLLM_REGS6
#undef VLLM_REGS7
#undef VLLM_REGS8
#undef VLLM_REGS9
#undef VLLM_REGS10
#undef VLLM_REGS11
#undef VLLM_REGS12
#undef VLLM_REGS13
#undef VLLM_REGS14
#undef VLLM_REGS15
#undef VLLM_REGS16
#undef VLLM_SUMS4
#undef VLLM_SUMS8
#undef VLLM_SUMS16
#undef VLLM_SUMS32
#undef VLLM_SUMS64
#undef VLLM_WGMMA_OF
#undef VLLM_WGMMA

}  // namespace vllm::linear_cuda_impl
