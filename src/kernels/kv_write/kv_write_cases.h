#pragma once
// Shapes that kv_write is tried on.
#include <cstdint>

#include "kernels/kv_layout/kv_dtypes.h"
#include "tensor/dtype.h"

namespace vllm {

struct KvWriteCase {
  int64_t num_tokens;
  int num_kv_heads, head_dim, block_size;
  DType dtype;
};
inline constexpr KvWriteCase kKvWriteCases[] = {
    {1, 1, 8, 1, DType::kFloat32},      {5, 2, 64, 16, DType::kBFloat16},    {40, 3, 80, 32, DType::kFloat16},
    {300, 4, 128, 16, DType::kFloat32}, {70, 1, 256, 128, DType::kBFloat16}, {50, 3, 64, 16, kKvFloat8},
};

}  // namespace vllm
