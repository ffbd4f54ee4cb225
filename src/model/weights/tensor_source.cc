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
  const int64_t q = int64_t{c.num_heads} * c.head_dim, kv = int64_t{c.num_kv_heads} * c.head_dim;
  switch (id) {
    case TensorId::kEmbedding:
    case TensorId::kLmHead: return {.n = c.vocab_size, .k = hidden};
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

Result<const CheckpointTensor*> TensorSource::matrix(TensorId id, int layer) const {
  const std::string name = names_.name(id, layer, "weight");
  const LinearShape s = shape(id);
  const CheckpointTensor* found = checkpoint_->find(name);
  if (found && s.k % info(found->dtype).block_size != 0) {
    return invalid_argument("tensor {} is {}, whose blocks of {} do not divide {}", name, info(found->dtype).name,
                            info(found->dtype).block_size, s.k);
  }
  ASSIGN_OR_RETURN(const CheckpointTensor* t, find(name, {s.n, s.k}));
  if (!is_plain_float(t->dtype) && !is_quantized(t->dtype)) {
    return invalid_argument("tensor {} is {}, which is no weight type", name, info(t->dtype).name);
  }
  return t;
}

Status TensorSource::norm(TensorId id, int layer, std::span<float> out) {
  if (dummy()) {
    std::fill(out.begin(), out.end(), 1.0f);
    return {};
  }
  RETURN_IF_ERROR(vector(names_.name(id, layer, "weight"), false, out));
  if (config_.norm_weight_plus_one) {
    for (float& x : out) x += 1;
  }
  return {};
}

Status TensorSource::bias(TensorId id, int layer, std::span<float> out) {
  if (dummy()) {
    std::fill(out.begin(), out.end(), 0.0f);
    return {};
  }
  return vector(names_.name(id, layer, "bias"), shape(id).interleaved, out);
}

Status TensorSource::vector(const std::string& name, bool interleaved, std::span<float> out) {
  const auto n = static_cast<int64_t>(out.size());
  ASSIGN_OR_RETURN(const CheckpointTensor* t, find(name, {n}));
  if (!is_plain_float(t->dtype))
    return invalid_argument("tensor {} is {}, expected a plain float type", name, info(t->dtype).name);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t from = interleaved ? interleaved_row(i, config_.head_dim) : i;
    convert_row(t->data.data() + row_bytes(t->dtype, from), t->dtype,
                reinterpret_cast<std::byte*>(&out[static_cast<size_t>(i)]), DType::kFloat32, 1);
  }
  advance(t->data.size());
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
