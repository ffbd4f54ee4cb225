#pragma once
// Batches that every implementation of paged_attention is tried on.
#include <cstdint>
#include <vector>

#include "kernels/kv_layout/kv_dtypes.h"
#include "tensor/dtype.h"

namespace vllm {

struct AttentionCaseSeq {
  int32_t num_queries, seq_len;
};
struct AttentionCase {
  int num_heads, num_kv_heads, head_dim, block_size;
  DType dtype;
  float softcap;
  int64_t sliding_window;
  std::vector<AttentionCaseSeq> seqs;
};
inline std::vector<AttentionCase> attention_cases() {
  return {
      {1, 1, 8, 1, DType::kFloat32, 0, 0, {{1, 1}}},
      {9, 3, 64, 16, DType::kBFloat16, 0, 0, {{1, 40}, {33, 33}, {1, 1}, {7, 100}}},
      {14, 2, 64, 16, DType::kFloat32, 0, 0, {{64, 64}, {1, 31}, {1, 32}, {1, 33}}},
      {6, 2, 64, 16, DType::kBFloat16, 0, 0, {{1, 1},  {1, 16}, {1, 17}, {1, 33},  {1, 63},  {3, 64},
                                              {1, 65}, {1, 70}, {1, 90}, {1, 129}, {1, 130}, {1, 200},
                                              {1, 2},  {3, 17}, {1, 18}, {1, 34},  {1, 64},  {1, 65},
                                              {1, 66}, {1, 71}, {1, 91}, {3, 130}, {1, 131}, {1, 201}}},  // many
      {4, 1, 256, 32, DType::kBFloat16, 0, 20, {{1, 19}, {1, 21}, {1, 90}, {70, 140}}},
      {8, 8, 80, 16, DType::kFloat16, 30, 0, {{5, 5}, {1, 70}}},
      {6, 2, 96, 128, DType::kFloat32, 5, 33, {{130, 130}, {1, 64}}},
      {16, 4, 128, 8, DType::kFloat32, 0, 64, {{3, 200}, {1, 129}}},
      {40, 1, 72, 64, DType::kBFloat16, 0, 0, {{3, 70}}},
      {14, 2, 128, 32, DType::kBFloat16, 0, 0, {{130, 200}, {1, 129}, {1, 66}, {9, 9}}},
      {12, 1, 96, 16, DType::kBFloat16, 20, 50, {{1, 65}, {40, 140}, {1, 130}}},
      {5, 5, 80, 16, DType::kBFloat16, 0, 0, {{1, 66}, {33, 70}, {16, 16}, {50, 128}}},
      {20, 1, 112, 16, DType::kBFloat16, 0, 90, {{1, 130}, {7, 190}}},
      {4, 4, 32, 48, DType::kFloat32, 0, 1, {{50, 50}}},
      {4, 2, 32, 16, DType::kBFloat16, 0, 520, {{24, 1064}, {1, 1030}}},
      {14, 2, 64, 16, kKvInt8, 0, 0, {{64, 64}, {1, 31}, {1, 90}, {33, 140}}},
      {4, 1, 128, 32, kKvInt8, 20, 40, {{1, 70}, {130, 200}}},
      {6, 3, 80, 16, kKvInt8, 0, 0, {{20, 100}, {1, 90}}},
      {6, 2, 40, 24, kKvInt8, 0, 0, {{3, 100}, {1, 65}}},
      {9, 3, 64, 16, kKvFloat8, 0, 0, {{1, 40}, {33, 33}, {1, 130}}},
      {8, 2, 72, 8, kKvFloat8, 0, 50, {{20, 90}, {1, 129}}},
  };
}

}  // namespace vllm
