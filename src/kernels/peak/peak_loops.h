#pragma once
// The loops of one ISA: `rounds` times a block of independent operations, enough of them to hide their latency,
// with starts that differ, so that a compiler cannot make one of several.
#include <cstdint>

#include "kernels/simd/unroll.h"

namespace vllm::peak {

struct Loop {
  double ops_per_round = 0;
  int64_t (*run)(int64_t rounds) = nullptr;  // null: the ISA has no such instruction. The result keeps the loop alive
};
struct Loops {
  const char* isa;
  Loop int8, bfloat16, float32;
};
const Loops& generic_loops();
const Loops& avx2_loops();
const Loops& avx512_loops();
const Loops& avx512_bf16_loops();  // bfloat16 alone
const Loops& neon_loops();
const Loops& neon_dotprod_loops();  // int8 alone
const Loops& neon_i8mm_loops();     // int8 and bfloat16

}  // namespace vllm::peak
