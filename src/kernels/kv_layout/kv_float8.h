#pragma once
// A KV cache of float8 e4m3: a sign, 4 bits of exponent, 3 of fraction, no infinity, 448 at most.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "tensor/dtype.h"

namespace vllm {

/// Its DType: codes in bytes, as vLLM stores them. Nothing else in a cache is uint8.
inline constexpr DType kKvFloat8 = DType::kUInt8;

inline float float8_to_float(uint8_t code) {
  const int exponent = code >> 3 & 15, fraction = code & 7;
  if (exponent == 15 && fraction == 7) return std::bit_cast<float>(0x7fc00000u);
  const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -9)
                                        : std::ldexp(static_cast<float>(8 + fraction), exponent - 10);
  return (code & 0x80) != 0 ? -magnitude : magnitude;
}

/// Rounds to nearest even; what is too large becomes 448; a NaN stays one.
inline uint8_t float_to_float8(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x), sign = u >> 24 & 0x80u;
  const float magnitude = std::fabs(x);
  uint32_t code = 0;
  if (std::isnan(x)) {
    code = 0x7f;
  } else if (magnitude >= 448) {
    code = 0x7e;
  } else if (magnitude < 0x1p-6f) {  // subnormal, or rounded up to the smallest normal number
    code = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, 9)));
  } else {
    const uint32_t v = u & 0x7fffffffu, rounded = v + 0x7ffffu + (v >> 20 & 1u);
    code = std::min((rounded >> 20) - (120u << 3), 0x7eu);
  }
  return static_cast<uint8_t>(sign | code);
}

}  // namespace vllm
