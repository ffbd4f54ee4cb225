#pragma once
// Shapes that every implementation of rope is tried on.
#include <cstdint>

namespace vllm {

struct RopeCase {
  int64_t num_tokens, num_heads, head_dim, rotary_dim;
};
inline constexpr RopeCase kRopeCases[] = {
    {1, 1, 8, 8}, {3, 2, 64, 64}, {5, 3, 80, 80}, {2, 4, 96, 72}, {40, 14, 64, 64}, {1, 4, 256, 256}, {17, 8, 128, 128},
};

}  // namespace vllm
