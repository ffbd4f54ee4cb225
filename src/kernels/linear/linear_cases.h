#pragma once
// Shapes and arguments that drive the tests and the benchmark of the linear op.
#include <cstdint>

#include "tensor/dtype.h"

namespace vllm {

inline constexpr DType kLinearTypes[] = {
    DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1,
    DType::kQ8_0,    DType::kQ2_K,    DType::kQ3_K,     DType::kQ4_K, DType::kQ5_K, DType::kQ6_K,
};

/// k is `blocks` blocks of the type (for plain types: `blocks` times 32, less `plain_k_cut`).
struct LinearCase {
  int64_t num_tokens, n, blocks;
  int64_t plain_k_cut = 0;
  bool bias = false, add_to_out = false;
  bool two_term_x = false;
  int64_t x_padding = 0, out_padding = 0;  // elements between rows: strides, and rows that no vector is aligned to
};

inline constexpr LinearCase kLinearCases[] = {
    {.num_tokens = 1, .n = 1, .blocks = 1, .plain_k_cut = 31},
    {.num_tokens = 1, .n = 16, .blocks = 2},
    {.num_tokens = 1, .n = 37, .blocks = 3, .plain_k_cut = 5, .bias = true},
    {.num_tokens = 2, .n = 15, .blocks = 1, .plain_k_cut = 1, .x_padding = 3, .out_padding = 1},
    {.num_tokens = 3, .n = 65, .blocks = 5, .add_to_out = true, .x_padding = 1, .out_padding = 7},
    {.num_tokens = 7, .n = 128, .blocks = 4, .bias = true, .add_to_out = true},
    {.num_tokens = 16, .n = 33, .blocks = 2, .out_padding = 5},
    {.num_tokens = 31, .n = 48, .blocks = 3, .plain_k_cut = 2, .bias = true},
    {.num_tokens = 77, .n = 129, .blocks = 2, .plain_k_cut = 7, .x_padding = 9},
    {.num_tokens = 0, .n = 16, .blocks = 1},
    {.num_tokens = 1, .n = 16, .blocks = 2, .two_term_x = true},
    {.num_tokens = 3, .n = 65, .blocks = 5, .add_to_out = true, .two_term_x = true, .x_padding = 1, .out_padding = 7},
    {.num_tokens = 31, .n = 48, .blocks = 3, .plain_k_cut = 2, .bias = true, .two_term_x = true},
    {.num_tokens = 77, .n = 129, .blocks = 2, .plain_k_cut = 7, .two_term_x = true, .x_padding = 9},
};

}  // namespace vllm
