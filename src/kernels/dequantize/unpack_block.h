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
/// Only for quantized types.
BlockForm block_form(DType dtype);

/// `block` points to info(dtype).block_bytes bytes, of any alignment.
void unpack_block(DType dtype, const void* block, UnpackedBlock& out);

}  // namespace vllm
