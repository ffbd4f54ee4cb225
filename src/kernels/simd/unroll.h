#pragma once
// Asks the compiler to unroll the loop that follows: without it -O2 keeps small arrays of vectors in memory.
#if defined(__clang__)
#define VLLM_UNROLL _Pragma("unroll")
#else
#define VLLM_UNROLL _Pragma("GCC unroll 16")
#endif
// What holds vectors in registers across its pieces must be one function.
#define VLLM_FORCE_INLINE inline __attribute__((always_inline))
