#pragma once
// Shapes that every implementation of rms_norm is tried on.
#include <cstdint>

namespace vllm {

struct RmsNormCase {
  int64_t num_tokens, hidden;
  bool residual;
  bool in_place;    // out is x
  int64_t padding;  // row stride - hidden
};
inline constexpr RmsNormCase kRmsNormCases[] = {
    {1, 1, false, false, 0},    {3, 7, true, false, 0},     {2, 64, false, true, 0},  {5, 80, true, false, 3},
    {1, 576, true, false, 0},   {9, 640, false, false, 5},  {33, 896, true, true, 0}, {4, 4096, false, false, 0},
    {100, 256, false, true, 0}, {70, 1536, true, false, 1},
};

}  // namespace vllm
