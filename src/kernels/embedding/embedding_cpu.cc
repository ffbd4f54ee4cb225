#include "kernels/dequantize/dequantize.h"
#include "kernels/embedding/embedding.h"

namespace vllm {

Status check(const EmbeddingParams& p) {
  const DTypeInfo& type = info(p.dtype);
  if (!is_quantized(p.dtype) && p.dtype != DType::kFloat32 && p.dtype != DType::kFloat16 &&
      p.dtype != DType::kBFloat16) {
    return invalid_argument("embedding: no weight of type {}", type.name);
  }
  if (p.out.size(1) % type.block_size != 0) {
    return invalid_argument("embedding: {} columns are no multiple of the {} elements of a {} block", p.out.size(1),
                            type.block_size, type.name);
  }
  if (p.out.size(0) != static_cast<int64_t>(p.token_ids.size())) {
    return invalid_argument("embedding: {} token ids for {} rows of out", p.token_ids.size(), p.out.size(0));
  }
  return Status::ok();
}

// A row is a few microseconds of work: tokens go to the threads in runs of eight.
void embedding_cpu(const EmbeddingParams& p, ThreadPool& pool) {
  constexpr int64_t kRun = 8;
  const int64_t num_tokens = p.out.size(0), hidden = p.out.size(1);
  const size_t bytes = row_bytes(p.dtype, hidden);
  pool.parallel_for((num_tokens + kRun - 1) / kRun, [&](int64_t run, int) {
    for (int64_t t = run * kRun; t < num_tokens && t < (run + 1) * kRun; ++t) {
      const int32_t id = p.token_ids[static_cast<size_t>(t)];
      CHECK(0 <= id && id < p.vocab_size);
      float* out = p.out.row(t);
      dequantize_row(p.dtype, static_cast<const std::byte*>(p.weight) + static_cast<size_t>(id) * bytes,
                     {out, static_cast<size_t>(hidden)});
      if (p.scale != 1.0f) {
        for (int64_t i = 0; i < hidden; ++i) out[i] *= p.scale;
      }
    }
  });
}

}  // namespace vllm
