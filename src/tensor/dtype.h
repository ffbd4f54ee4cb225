#pragma once
// Element types, the quantized block types of GGUF among them.
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vllm {

/// A quantized type counts as an element type whose unit is a block: `block_size` elements in `block_bytes` bytes.
/// The block layouts are GGUF's (see kernels/dequantize/ggml_blocks.h).
enum class DType : uint8_t {
  kFloat32,
  kFloat16,
  kBFloat16,
  kInt8,
  kInt32,
  kInt64,
  kUInt8,
  kBool,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
};

struct DTypeInfo {
  std::string_view name;  // "bfloat16", "q4_K"
  int block_size;         // elements in a block; 1 for plain types
  int block_bytes;
};
const DTypeInfo& info(DType dtype);
constexpr bool is_quantized(DType dtype) { return dtype >= DType::kQ4_0; }
/// Bytes of a contiguous row of `count` elements; count must be a multiple of the block size.
inline size_t row_bytes(DType dtype, int64_t count) {
  const DTypeInfo& i = info(dtype);
  return static_cast<size_t>(count / i.block_size) * static_cast<size_t>(i.block_bytes);
}

/// bfloat16 and float16 as storage; conversion rounds to nearest even.
struct BFloat16 {
  uint16_t bits;
};
struct Float16 {
  uint16_t bits;
};
float to_float(BFloat16 x);
float to_float(Float16 x);
BFloat16 to_bfloat16(float x);
Float16 to_float16(float x);

template <typename T>
constexpr DType kDTypeOf = DType::kFloat32;
template <>
inline constexpr DType kDTypeOf<BFloat16> = DType::kBFloat16;
template <>
inline constexpr DType kDTypeOf<Float16> = DType::kFloat16;
template <>
inline constexpr DType kDTypeOf<int8_t> = DType::kInt8;
template <>
inline constexpr DType kDTypeOf<int32_t> = DType::kInt32;
template <>
inline constexpr DType kDTypeOf<int64_t> = DType::kInt64;

}  // namespace vllm
