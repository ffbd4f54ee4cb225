#include "model/weights/tensor_source.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "model/weights/convert.h"

namespace vllm::model {

TensorSource::TensorSource(const ModelConfig& config, const Checkpoint* checkpoint, const LoadOptions& options)
    : config_(config), checkpoint_(checkpoint), on_progress_(options.on_progress), names_(config, checkpoint) {
  total_ = checkpoint ? std::max<size_t>(1, checkpoint->total_bytes()) : 0;
}

LinearShape TensorSource::shape(TensorId id) const {
  const ModelConfig& c = config_;
  const int64_t hidden = c.hidden_size, inner = c.intermediate_size;
  const int64_t embedding = c.embedding_size > 0 ? c.embedding_size : hidden;
  const int64_t q = int64_t{c.num_heads} * c.head_dim, kv = int64_t{c.num_kv_heads} * c.head_dim;
  switch (id) {
    case TensorId::kEmbedding:
    case TensorId::kLmHead: return {.n = c.vocab_size, .k = embedding};
    case TensorId::kPositions: return {.n = c.max_position + c.position_offset, .k = hidden};
    case TensorId::kProjectIn: return {.n = hidden, .k = embedding};
    case TensorId::kProjectOut: return {.n = embedding, .k = hidden};
    case TensorId::kQ: return {.n = q, .k = hidden, .bias = c.qkv_bias, .interleaved = c.interleaved_qk};
    case TensorId::kK: return {.n = kv, .k = hidden, .bias = c.qkv_bias, .interleaved = c.interleaved_qk};
    case TensorId::kV: return {.n = kv, .k = hidden, .bias = c.qkv_bias};
    case TensorId::kO: return {.n = hidden, .k = q, .bias = c.o_bias};
    case TensorId::kGate:
    case TensorId::kUp: return {.n = inner, .k = hidden, .bias = c.mlp_bias};
    case TensorId::kDown: return {.n = hidden, .k = inner, .bias = c.mlp_bias};
    default: CHECK(false);
  }
}

int64_t TensorSource::norm_size(TensorId id) const {
  const ModelConfig& c = config_;
  if (id != TensorId::kQNorm && id != TensorId::kKNorm) return c.hidden_size;
  if (c.qk_norm == QkNorm::kHead) return c.head_dim;
  return int64_t{id == TensorId::kQNorm ? c.num_heads : c.num_kv_heads} * c.head_dim;
}

RowOrder TensorSource::row_order(TensorId id) const {
  const ModelConfig& c = config_;
  const LinearShape s = shape(id);
  const int64_t q = int64_t{c.num_heads} * c.head_dim, kv = int64_t{c.num_kv_heads} * c.head_dim;
  const int64_t group_q = q / c.num_kv_heads, group = group_q + 2 * c.head_dim;
  RowOrder order{.first = 0, .run = s.n, .stride = s.n, .interleaved_head_dim = s.interleaved ? c.head_dim : 0};
  switch (names_.packing(id)) {
    case Packing::kAlone:
    case Packing::kTensorPerHead: break;
    case Packing::kGateUp: order.first = id == TensorId::kUp ? s.n : 0; break;
    case Packing::kQkv: order.first = id == TensorId::kQ ? 0 : id == TensorId::kK ? q : q + kv; break;
    case Packing::kQkvGroups:
      order.first = id == TensorId::kQ ? 0 : id == TensorId::kK ? group_q : group_q + c.head_dim;
      order.run = id == TensorId::kQ ? group_q : c.head_dim;
      order.stride = group;
      break;
  }
  return order;
}

int64_t TensorSource::stored_rows(TensorId id) const {
  const ModelConfig& c = config_;
  switch (names_.packing(id)) {
    case Packing::kAlone:
    case Packing::kTensorPerHead: return shape(id).n;
    case Packing::kGateUp: return 2 * shape(id).n;
    default: return (int64_t{c.num_heads} + 2 * c.num_kv_heads) * c.head_dim;
  }
}

Result<SourceMatrix> TensorSource::matrix(TensorId id, int layer) const {
  const std::string name = names_.name(id, layer, "weight");
  const LinearShape s = shape(id);
  SourceMatrix m{.tensor = nullptr, .n = s.n, .k = s.k, .order = row_order(id), .transposed = names_.transposed(id)};
  const CheckpointTensor* found = checkpoint_->find(name);
  if (found && s.k % info(found->dtype).block_size != 0) {
    return invalid_argument("tensor {} is {}, whose blocks of {} do not divide {}", name, info(found->dtype).name,
                            info(found->dtype).block_size, s.k);
  }
  const int64_t rows = stored_rows(id);
  ASSIGN_OR_RETURN(m.tensor, find(name, m.transposed ? std::vector{s.k, rows} : std::vector{rows, s.k}));
  if (!is_plain_float(m.tensor->dtype) && (!is_quantized(m.tensor->dtype) || m.transposed)) {
    return invalid_argument("tensor {} is {}, which is no weight type", name, info(m.tensor->dtype).name);
  }
  return m;
}

Status TensorSource::norm(TensorId id, int layer, std::span<float> out) {
  if (dummy()) {
    std::fill(out.begin(), out.end(), 1.0f);
    return {};
  }
  const auto n = static_cast<int64_t>(out.size());
  const bool of_heads = id == TensorId::kQNorm || id == TensorId::kKNorm;
  const RowOrder order{.first = 0,
                       .run = n,
                       .stride = n,
                       .interleaved_head_dim = of_heads && config_.interleaved_qk ? config_.head_dim : 0};
  if (names_.packing(id) == Packing::kTensorPerHead) {
    const auto size = static_cast<size_t>(config_.head_dim);
    for (size_t h = 0; h * size < out.size(); ++h) {
      const std::string name = names_.name(id, layer, std::to_string(h) + ".weight");
      RETURN_IF_ERROR(vector(name, {.first = 0, .run = config_.head_dim, .stride = config_.head_dim}, config_.head_dim,
                             out.subspan(h * size, size)));
    }
    return {};
  }
  RETURN_IF_ERROR(vector(names_.name(id, layer, "weight"), order, n, out));
  if (config_.norm_weight_plus_one) {
    for (float& x : out) x += 1;
  }
  return {};
}

Status TensorSource::norm_bias(TensorId id, int layer, std::span<float> out) {
  if (dummy()) {
    std::fill(out.begin(), out.end(), 0.0f);
    return {};
  }
  const auto n = static_cast<int64_t>(out.size());
  return vector(names_.name(id, layer, "bias"), {.first = 0, .run = n, .stride = n}, n, out);
}

Status TensorSource::bias(TensorId id, int layer, std::span<float> out) {
  if (dummy()) {
    std::fill(out.begin(), out.end(), 0.0f);
    return {};
  }
  return vector(names_.name(id, layer, "bias"), row_order(id), stored_rows(id), out);
}

Status TensorSource::vector(const std::string& name, const RowOrder& order, int64_t stored, std::span<float> out) {
  const CheckpointTensor* t = checkpoint_->find(name);
  // The weights of norms of each head may be a matrix [heads, head_dim].
  std::vector<int64_t> expected = {stored};
  if (t && t->shape.size() == 2 && t->shape[1] == config_.head_dim && stored % config_.head_dim == 0) {
    expected = {stored / config_.head_dim, config_.head_dim};
  }
  ASSIGN_OR_RETURN(t, find(name, expected));
  if (!is_plain_float(t->dtype))
    return invalid_argument("tensor {} is {}, expected a plain float type", name, info(t->dtype).name);
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t from = SourceMatrix::tensor_row(order, static_cast<int64_t>(i));
    convert_row(t->data.data() + row_bytes(t->dtype, from), t->dtype, reinterpret_cast<std::byte*>(&out[i]),
                DType::kFloat32, 1);
  }
  advance(out.size() * row_bytes(t->dtype, 1));
  return {};
}

Result<const CheckpointTensor*> TensorSource::find(const std::string& name, const std::vector<int64_t>& shape) const {
  const CheckpointTensor* t = checkpoint_->find(name);
  if (!t) return invalid_argument("tensor {} is missing from the checkpoint", name);
  if (t->shape != shape) {
    return invalid_argument("tensor {} has shape [{}], expected [{}]", name, fmt::join(t->shape, ", "),
                            fmt::join(shape, ", "));
  }
  size_t bytes = row_bytes(t->dtype, shape.back());
  for (size_t i = 0; i + 1 < shape.size(); ++i) bytes *= static_cast<size_t>(shape[i]);
  if (t->data.size() != bytes)
    return invalid_argument("tensor {} has {} bytes, expected {}", name, t->data.size(), bytes);
  return t;
}

void TensorSource::advance(size_t bytes) {
  done_ = std::min(total_, done_ + bytes);
  if (on_progress_ && total_ > 0) on_progress_(static_cast<double>(done_) / static_cast<double>(total_));
}

void TensorSource::finish() { advance(total_); }

}  // namespace vllm::model
