#include "kernels/kv_layout/kv_float8.h"
#include "kernels/paged_attention/attention_kernels_cuda.h"

namespace vllm {

extern const FastAttention kFastAttentionBFloat16_64, kFastAttentionBFloat16_128, kFastAttentionBFloat16_256;
extern const FastAttention kFastAttentionFloat16_64, kFastAttentionFloat16_128, kFastAttentionFloat16_256;
extern const FastAttention kFastAttentionFloat8_64, kFastAttentionFloat8_128, kFastAttentionFloat8_256;

namespace {

constexpr DType kBF16 = DType::kBFloat16, kF16 = DType::kFloat16, kF8 = kKvFloat8;

struct Row {
  DType dtype, kv_dtype;
  int head_dim;
  const FastAttention& kernels;
};
const Row kRows[] = {
    {kBF16, kBF16, 64, kFastAttentionBFloat16_64},   {kBF16, kBF16, 128, kFastAttentionBFloat16_128},
    {kBF16, kBF16, 256, kFastAttentionBFloat16_256}, {kF16, kF16, 64, kFastAttentionFloat16_64},
    {kF16, kF16, 128, kFastAttentionFloat16_128},    {kF16, kF16, 256, kFastAttentionFloat16_256},
    {kBF16, kF8, 64, kFastAttentionFloat8_64},       {kBF16, kF8, 128, kFastAttentionFloat8_128},
    {kBF16, kF8, 256, kFastAttentionFloat8_256},
};

}  // namespace

const FastAttention* find_fast_attention(DType dtype, DType kv_dtype, int head_dim) {
  for (const Row& row : kRows) {
    if (row.dtype == dtype && row.kv_dtype == kv_dtype && row.head_dim == head_dim) return &row.kernels;
  }
  return nullptr;
}

}  // namespace vllm
