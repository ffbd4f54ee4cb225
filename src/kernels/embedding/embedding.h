#pragma once
// out[t, i] = weight[token_ids[t], i] * scale     weight rows of any type that dequantize_row knows
#include <cstdint>
#include <span>

#include "base/result.h"
#include "tensor/tensor_view.h"
#include "tensor/thread_pool.h"

namespace vllm {

struct EmbeddingParams {
  TensorView<float, 2> out;            // [num_tokens, hidden], row stride free
  std::span<const int32_t> token_ids;  // [num_tokens], each in [0, vocab_size): the caller has checked them
  const void* weight = nullptr;        // [vocab_size, hidden], rows contiguous, any alignment (mapped memory as it is)
  DType dtype = DType::kFloat32;
  int64_t vocab_size = 0;
  float scale = 1.0f;  // Gemma: sqrt(hidden)
};

Status check(const EmbeddingParams& p);
void embedding_cpu(const EmbeddingParams& p, ThreadPool& pool);

}  // namespace vllm
