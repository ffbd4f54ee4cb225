#pragma once
// Byte layouts of the GGUF block types, as they lie in a file (little endian, no padding).
// Facts from ggml-common.h of llama.cpp 0c1e570. `d`, `m`, `dmin` are float16 bits.
#include <cstddef>
#include <cstdint>

namespace vllm::ggml {

inline constexpr int kBlock = 32;        // elements of a plain block
inline constexpr int kSuperBlock = 256;  // elements of a k-quant block

// In a plain block of 4 or 5 bits, byte j of qs has element j in its low and element j + 16 in its high nibble;
// bit j of the 32 bits of qh is the fifth bit of element j.
struct Q4_0 {
  uint16_t d;
  uint8_t qs[16];
};  // d * (q - 8)
struct Q4_1 {
  uint16_t d, m;
  uint8_t qs[16];
};  // d * q + m
struct Q5_0 {
  uint16_t d;
  uint8_t qh[4];
  uint8_t qs[16];
};  // d * (q - 16)
struct Q5_1 {
  uint16_t d, m;
  uint8_t qh[4];
  uint8_t qs[16];
};  // d * q + m
struct Q8_0 {
  uint16_t d;
  int8_t qs[32];
};  // d * q

// In a k-quant, groups of 16 or 32 elements have integer scales (and mins) under one float16 of each.
struct Q2_K {
  uint8_t scales[16];
  uint8_t qs[64];
  uint16_t d, dmin;
};  // groups of 16: 4-bit scale, 4-bit min
struct Q3_K {
  uint8_t hmask[32];
  uint8_t qs[64];
  uint8_t scales[12];
  uint16_t d;
};  // groups of 16: 6-bit scale
struct Q4_K {
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t qs[128];
};  // groups of 32: 6-bit scale, 6-bit min
struct Q5_K {
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t qh[32];
  uint8_t qs[128];
};
struct Q6_K {
  uint8_t ql[128];
  uint8_t qh[64];
  int8_t scales[16];
  uint16_t d;
};  // groups of 16: 8-bit scale

static_assert(sizeof(Q4_0) == 18 && sizeof(Q4_1) == 20 && sizeof(Q5_0) == 22 && sizeof(Q5_1) == 24 &&
              sizeof(Q8_0) == 34);
static_assert(sizeof(Q2_K) == 84 && sizeof(Q3_K) == 110 && sizeof(Q4_K) == 144 && sizeof(Q5_K) == 176 &&
              sizeof(Q6_K) == 210);

}  // namespace vllm::ggml
