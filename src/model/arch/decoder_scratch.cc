// Where a slice's activations lie in the decoder's scratch memory.
#include <algorithm>

#include "kernels/linear/linear.h"
#include "kernels/paged_attention/paged_attention.h"
#include "model/arch/decoder.h"
#include "tensor/cpu_info.h"

namespace vllm::model {
namespace {

// Hands out [rows, width] float matrices one after the other, each on a cache line; without memory it only counts.
class Layout {
 public:
  Layout(float* base, int64_t rows) : base_(base), rows_(rows) {}
  TensorView<float, 2> take(int64_t width) {
    float* data = base_ ? base_ + used_ : nullptr;
    used_ += (rows_ * width + 15) / 16 * 16;
    return {data, {rows_, width}};
  }
  size_t bytes() const { return static_cast<size_t>(used_) * sizeof(float); }

 private:
  float* base_;
  int64_t rows_, used_ = 0;
};

}  // namespace

Decoder::Activations Decoder::activations(int64_t num_tokens) const {
  Layout layout(scratch_.size() ? scratch_.as<float>() : nullptr, num_tokens);
  const ModelConfig& c = config_;
  const int64_t q = int64_t{c.num_heads} * c.head_dim, kv = int64_t{c.num_kv_heads} * c.head_dim;
  const int64_t half = static_cast<int64_t>(shape_.rope.inv_freq.size()),
                local_half = static_cast<int64_t>(shape_.rope_local.inv_freq.size());
  Activations a;
  a.x = layout.take(c.hidden_size), a.h = layout.take(c.hidden_size);
  a.q = layout.take(q), a.k = layout.take(kv), a.v = layout.take(kv), a.attention = layout.take(q);
  if (c.gated_mlp) a.gate = layout.take(c.intermediate_size);
  a.up = layout.take(c.intermediate_size);
  a.cos = layout.take(half), a.sin = layout.take(half);
  a.local_cos = layout.take(local_half), a.local_sin = layout.take(local_half);
  if (c.embedding_size > 0) a.embedded = layout.take(c.embedding_size);
  a.bytes = layout.bytes();
  CHECK(scratch_.size() == 0 || a.bytes <= linear_offset_);
  return a;
}

size_t Decoder::attention_scratch_bytes(int num_threads) const {
  return paged_attention_workspace_bytes(max_seqs_, config_.head_dim, num_threads);
}

std::span<std::byte> Decoder::linear_scratch() const {
  return {scratch_.data() + linear_offset_, scratch_.size() - linear_offset_};
}

void Decoder::reserve(int64_t max_tokens, int64_t max_seqs) {
  CHECK(max_tokens > 0 && max_seqs > 0);
  const ModelConfig& c = config_;
  max_rows_ = std::min(max_tokens, kSliceTokens), max_seqs_ = max_seqs;
  const int64_t q = int64_t{c.num_heads} * c.head_dim;
  scratch_ = Buffer();
  linear_offset_ = activations(max_rows_).bytes;
  const int64_t max_k = std::max({c.hidden_size, q, c.intermediate_size, c.embedding_size});
  scratch_ = Buffer(linear_offset_ + linear_workspace_bytes(std::max(max_rows_, kLogitsRows), max_k));
  attention_scratch_ = Buffer(attention_scratch_bytes(std::max(num_threads_, usable_cpus())));
  query_start_.reserve(static_cast<size_t>(max_seqs) + 1), seq_lens_.reserve(static_cast<size_t>(max_seqs) + 1);
  if (c.position == PositionType::kLearned) rows_.reserve(static_cast<size_t>(max_rows_));
  if (c.embedding_size > 0) projected_ = Buffer(static_cast<size_t>(kLogitsRows * c.embedding_size) * sizeof(float));
}

}  // namespace vllm::model
