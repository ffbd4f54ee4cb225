#include "tensor/dtype.h"

#include <bit>
#include <cmath>
#include <iterator>

#include "base/check.h"

namespace vllm {

const DTypeInfo& info(DType dtype) {
  static constexpr DTypeInfo kInfo[] = {
      {"float32", 1, 4},  {"float16", 1, 2},  {"bfloat16", 1, 2}, {"int8", 1, 1},    {"int32", 1, 4},
      {"int64", 1, 8},    {"uint8", 1, 1},    {"bool", 1, 1},     {"q4_0", 32, 18},  {"q4_1", 32, 20},
      {"q5_0", 32, 22},   {"q5_1", 32, 24},   {"q8_0", 32, 34},   {"q2_K", 256, 84}, {"q3_K", 256, 110},
      {"q4_K", 256, 144}, {"q5_K", 256, 176}, {"q6_K", 256, 210},
  };
  static_assert(std::size(kInfo) == static_cast<size_t>(DType::kQ6_K) + 1);
  size_t i = static_cast<size_t>(dtype);
  CHECK(i < std::size(kInfo));
  return kInfo[i];
}

float to_float(BFloat16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.bits) << 16); }

BFloat16 to_bfloat16(float x) {
  uint32_t u = std::bit_cast<uint32_t>(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {static_cast<uint16_t>((u >> 16) | 0x40u)};  // keep a NaN a NaN
  return {static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
}

float to_float(Float16 x) {
  uint32_t sign = static_cast<uint32_t>(x.bits & 0x8000u) << 16, exponent = (x.bits >> 10) & 31u,
           fraction = x.bits & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (fraction << 13));
  if (exponent == 0) {
    float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign ? -magnitude : magnitude;
  }
  return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (fraction << 13));
}

Float16 to_float16(float x) {
  uint32_t u = std::bit_cast<uint32_t>(x), sign = (u >> 16) & 0x8000u, magnitude = u & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {static_cast<uint16_t>(sign | 0x7e00u)};
  if (magnitude >= 0x477ff000u) return {static_cast<uint16_t>(sign | 0x7c00u)};  // rounds to infinity
  if (magnitude < 0x38800000u) {                                                 // subnormal half, or zero
    float scaled = std::ldexp(std::bit_cast<float>(magnitude), 24);
    return {static_cast<uint16_t>(sign | static_cast<uint32_t>(std::nearbyint(scaled)))};
  }
  uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return {static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13))};
}

}  // namespace vllm
