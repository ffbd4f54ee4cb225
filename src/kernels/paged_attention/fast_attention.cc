#include "kernels/paged_attention/attention_kernels_cuda.h"

namespace vllm {

extern const FastAttention kFastAttentionBFloat16_64, kFastAttentionBFloat16_128, kFastAttentionBFloat16_256;
extern const FastAttention kFastAttentionFloat16_64, kFastAttentionFloat16_128, kFastAttentionFloat16_256;

namespace {

struct Row {
  DType dtype;
  int head_dim;
  const FastAttention& kernels;
};
const Row kRows[] = {
    {DType::kBFloat16, 64, kFastAttentionBFloat16_64},   {DType::kBFloat16, 128, kFastAttentionBFloat16_128},
    {DType::kBFloat16, 256, kFastAttentionBFloat16_256}, {DType::kFloat16, 64, kFastAttentionFloat16_64},
    {DType::kFloat16, 128, kFastAttentionFloat16_128},   {DType::kFloat16, 256, kFastAttentionFloat16_256},
};

}  // namespace

const FastAttention* find_fast_attention(DType dtype, DType kv_dtype, int head_dim) {
  for (const Row& row : kRows) {
    if (row.dtype == dtype && dtype == kv_dtype && row.head_dim == head_dim) return &row.kernels;
  }
  return nullptr;
}

}  // namespace vllm
