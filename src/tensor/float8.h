#pragma once
// Float8 e4m3 as storage: a sign, 4 bits of exponent, 3 of fraction, no infinity, 448 at most. Conversions of single
// numbers are kernels/kv_layout/kv_float8.h's.
#include <cstdint>

namespace vllm {

struct Float8 {
  uint8_t bits;
};

}  // namespace vllm
