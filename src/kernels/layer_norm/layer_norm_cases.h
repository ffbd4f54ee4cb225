#pragma once
// Shapes that every implementation of layer_norm is tried on.
#include <cstdint>

namespace vllm {

struct LayerNormCase {
  int64_t num_tokens, hidden;
  int64_t group;  // 0 = hidden
  bool bias;
  bool in_place;    // out is x
  int64_t padding;  // row stride - hidden
};
inline constexpr LayerNormCase kLayerNormCases[] = {
    {1, 1, 0, false, false, 0},     {3, 7, 0, true, false, 0},   {2, 64, 0, false, true, 0},
    {5, 80, 0, true, false, 3},     {1, 768, 0, true, false, 0}, {9, 640, 80, false, true, 5},
    {33, 896, 128, true, true, 0},  {4, 4096, 0, true, true, 0}, {100, 256, 64, false, false, 0},
    {70, 1536, 12, true, false, 1},
};

}  // namespace vllm
