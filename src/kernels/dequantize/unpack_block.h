#pragma once
// One form for a block of every GGUF type: what dequantize_row and the repacking of weights both read.
#include <cstdint>

#include "tensor/dtype.h"

namespace vllm {

/// Element i of a block, in group g = i / group_size, is   d * scale[g] * (q[i] - offset) - dmin * min[g].
/// `offset`, `group_size` and `has_min` depend on the type alone (see block_form).
struct UnpackedBlock {
  float d = 0;
  float dmin = 0;
  int8_t scale[16] = {};  // 1 for the types whose only scale is d
  uint8_t min[16] = {};
  uint8_t q[256] = {};
};

struct BlockForm {
  int bits;        // q < 2^bits
  int group_size;  // 16 or 32 elements share scale and min
  int offset;      // a power of two, or 0 for types with a min
  bool has_min;
};
/// All zero for types that are not quantized.
constexpr BlockForm block_form(DType dtype) {
  switch (dtype) {
    case DType::kQ4_0: return {.bits = 4, .group_size = 32, .offset = 8, .has_min = false};
    case DType::kQ4_1: return {.bits = 4, .group_size = 32, .offset = 0, .has_min = true};
    case DType::kQ5_0: return {.bits = 5, .group_size = 32, .offset = 16, .has_min = false};
    case DType::kQ5_1: return {.bits = 5, .group_size = 32, .offset = 0, .has_min = true};
    case DType::kQ8_0: return {.bits = 8, .group_size = 32, .offset = 128, .has_min = false};
    case DType::kQ2_K: return {.bits = 2, .group_size = 16, .offset = 0, .has_min = true};
    case DType::kQ3_K: return {.bits = 3, .group_size = 16, .offset = 4, .has_min = false};
    case DType::kQ4_K: return {.bits = 4, .group_size = 32, .offset = 0, .has_min = true};
    case DType::kQ5_K: return {.bits = 5, .group_size = 32, .offset = 0, .has_min = true};
    case DType::kQ6_K: return {.bits = 6, .group_size = 16, .offset = 32, .has_min = false};
    default: return {};
  }
}

/// `block` points to info(dtype).block_bytes bytes, of any alignment.
void unpack_block(DType dtype, const void* block, UnpackedBlock& out);

}  // namespace vllm
