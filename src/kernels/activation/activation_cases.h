#pragma once
// Shapes that every implementation of activation is tried on.
#include <cstdint>

namespace vllm {

struct ActivationCase {
  int64_t num_tokens, width, padding;  // padding: row stride - width
  bool in_place;                       // out is gate
};
inline constexpr ActivationCase kActivationCases[] = {
    {1, 1, 0, false},     {3, 17, 2, true},   {1, 1536, 0, true},
    {20, 2048, 0, false}, {7, 4864, 1, true}, {64, 100, 0, false},
};

}  // namespace vllm
