// ModelConfig from the metadata of a GGUF file.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "model/arch/registry.h"
#include "model/config_check.h"
#include "model/rope_config.h"

namespace vllm::model {
namespace {

// Look-ups of "<arch>.<key>" with the same errors as config.json's fields.
class Metadata {
 public:
  Metadata(const GgufFile& file, std::string arch) : file_(file), prefix_(std::move(arch) + ".") {}

  std::optional<int64_t> find_int(std::string_view key) const { return file_.get_int(prefix_ + std::string(key)); }
  std::optional<double> find_double(std::string_view key) const { return file_.get_double(prefix_ + std::string(key)); }
  std::optional<std::string_view> find_string(std::string_view key) const {
    return file_.get_string(prefix_ + std::string(key));
  }

  /// Present, or `fallback` (0: required), and in [1, max]. An array of one value per layer must be all the same.
  Result<int64_t> number(std::string_view key, int64_t fallback, int64_t max) const {
    std::string name = prefix_ + std::string(key);
    std::optional<int64_t> value = file_.get_int(name);
    if (const GgufValue* v = file_.find(name); v && !value) {
      const auto* list = std::get_if<std::vector<int64_t>>(v);
      if (!list || list->empty()) return invalid_argument("{} is no whole number", name);
      if (std::any_of(list->begin(), list->end(), [&](int64_t x) { return x != list->front(); })) {
        return error(ErrorCode::kUnimplemented, "{} differs between layers, which is not built", name);
      }
      value = list->front();
    }
    if (!value && fallback == 0) return invalid_argument("{} is missing", name);
    int64_t found = value.value_or(fallback);
    if (found < 1 || found > max) return invalid_argument("{} is {}, expected 1 to {}", name, found, max);
    return found;
  }

 private:
  const GgufFile& file_;
  std::string prefix_;
};

Status read_sizes(const GgufFile& file, const Metadata& meta, ModelConfig& c) {
  const GgufTensor* embedding = file.find_tensor("token_embd.weight");
  if (!embedding || embedding->shape.size() != 2)
    return invalid_argument("tensor token_embd.weight is missing or no matrix");
  if (embedding->shape[0] < 1 || embedding->shape[0] > kMaxVocabSize) {
    return invalid_argument("token_embd.weight has {} rows, expected 1 to {}", embedding->shape[0], kMaxVocabSize);
  }
  c.vocab_size = embedding->shape[0];
  // Of quantized models float16 stays closer to float32 than bfloat16 does; Gemma leaves its range.
  bool half =
      embedding->dtype == DType::kFloat16 || (is_quantized(embedding->dtype) && !c.model_type.starts_with("gemma"));
  c.torch_dtype = half ? "float16" : embedding->dtype == DType::kFloat32 ? "float32" : "bfloat16";
  ASSIGN_OR_RETURN(c.hidden_size, meta.number("embedding_length", 0, kMaxWidth));
  ASSIGN_OR_RETURN(c.intermediate_size, meta.number("feed_forward_length", 0, kMaxWidth));
  ASSIGN_OR_RETURN(int64_t num_layers, meta.number("block_count", 0, kMaxLayers));
  ASSIGN_OR_RETURN(int64_t num_heads, meta.number("attention.head_count", 0, kMaxHeads));
  ASSIGN_OR_RETURN(int64_t num_kv_heads, meta.number("attention.head_count_kv", num_heads, kMaxHeads));
  if (!meta.find_int("attention.key_length") && c.hidden_size % num_heads != 0) {
    return invalid_argument("embedding_length {} is no multiple of attention.head_count {}", c.hidden_size, num_heads);
  }
  ASSIGN_OR_RETURN(int64_t head_dim,
                   meta.number("attention.key_length", std::max<int64_t>(1, c.hidden_size / num_heads), kMaxHeadDim));
  ASSIGN_OR_RETURN(int64_t value_dim, meta.number("attention.value_length", head_dim, kMaxHeadDim));
  if (value_dim != head_dim) {
    return error(ErrorCode::kUnimplemented, "attention.value_length {} differs from key_length {}, which is not built",
                 value_dim, head_dim);
  }
  c.num_layers = static_cast<int>(num_layers), c.num_heads = static_cast<int>(num_heads);
  c.num_kv_heads = static_cast<int>(num_kv_heads), c.head_dim = static_cast<int>(head_dim);
  ASSIGN_OR_RETURN(c.max_position, meta.number("context_length", 0, kMaxPositions));
  std::optional<double> eps = meta.find_double("attention.layer_norm_rms_epsilon");
  if (!eps) eps = meta.find_double("attention.layer_norm_epsilon");
  if (!eps) return invalid_argument("attention.layer_norm_rms_epsilon is missing");
  c.norm_eps = *eps;
  return {};
}

// Longrope's divisors, which check_config counts.
Status read_factors(const GgufFile& file, std::string_view name, std::vector<double>& out) {
  const GgufTensor* t = file.find_tensor(name);
  if (!t || t->dtype != DType::kFloat32) return invalid_argument("tensor {} is missing or not float32", name);
  for (size_t i = 0; i + sizeof(float) <= t->data.size(); i += sizeof(float)) {
    float factor = 0;
    std::memcpy(&factor, t->data.data() + i, sizeof(float));
    if (!(factor > 0) || !std::isfinite(factor))
      return invalid_argument("{} holds {}, expected values above 0", name, factor);
    out.push_back(double{factor});
  }
  return {};
}

Status read_rope(const GgufFile& file, const Metadata& meta, ModelConfig& c) {
  c.rope.theta = meta.find_double("rope.freq_base").value_or(1e4);
  int64_t rotary_dim = meta.find_int("rope.dimension_count").value_or(c.head_dim);
  if (rotary_dim < 4 || rotary_dim > c.head_dim || rotary_dim % 2 != 0) {
    return invalid_argument("rope.dimension_count is {}, expected an even number up to head_dim {}", rotary_dim,
                            c.head_dim);
  }
  c.rope.partial_rotary_factor = static_cast<double>(rotary_dim) / c.head_dim;
  std::string_view type = meta.find_string("rope.scaling.type").value_or("none");
  double factor = meta.find_double("rope.scaling.factor").value_or(1);
  if (!(factor >= 1e-3 && factor <= 1e6)) return invalid_argument("rope.scaling.factor is {}", factor);
  c.rope.original_max_position = meta.find_int("rope.scaling.original_context_length").value_or(c.max_position);
  if (c.rope.original_max_position < 2)
    return invalid_argument("rope.scaling.original_context_length is {}", c.rope.original_max_position);
  if (type == "linear") {
    c.rope.type = RopeType::kLinear, c.rope.factor = factor;
  } else if (type == "yarn") {
    c.rope.type = RopeType::kYarn, c.rope.factor = factor;
    c.rope.beta_fast = meta.find_double("rope.scaling.yarn_beta_fast").value_or(32);
    c.rope.beta_slow = meta.find_double("rope.scaling.yarn_beta_slow").value_or(1);
    if (!(c.rope.theta > 1)) return invalid_argument("rope.freq_base is {}, expected more than 1", c.rope.theta);
  } else if (type != "none" && type != "longrope") {
    return error(ErrorCode::kUnimplemented, "rope.scaling.type '{}' is not built (linear, yarn and longrope are)",
                 type);
  }
  if (file.find_tensor("rope_factors_long.weight")) {
    c.rope.type = RopeType::kLongRope;
    c.rope.factor = static_cast<double>(c.max_position) / static_cast<double>(c.rope.original_max_position);
    c.rope.attention_factor = meta.find_double("rope.scaling.attn_factor").value_or(0);
    if (!(c.rope.attention_factor >= 0 && c.rope.attention_factor <= 1e3)) {
      return invalid_argument("rope.scaling.attn_factor is {}, expected 0 to 1000", c.rope.attention_factor);
    }
    RETURN_IF_ERROR(read_factors(file, "rope_factors_short.weight", c.rope.short_factor));
    return read_factors(file, "rope_factors_long.weight", c.rope.long_factor);
  }
  // Llama 3's scaling comes as a tensor of divisors.
  if (const GgufTensor* freqs = file.find_tensor("rope_freqs.weight")) {
    if (freqs->dtype != DType::kFloat32)
      return invalid_argument("rope_freqs.weight is {}, expected float32", info(freqs->dtype).name);
    c.rope.freq_factors.resize(freqs->data.size() / sizeof(float));
    std::memcpy(c.rope.freq_factors.data(), freqs->data.data(), c.rope.freq_factors.size() * sizeof(float));
  }
  return {};
}

}  // namespace

Result<ModelConfig> config_from_gguf(const GgufFile& file) {
  std::string_view arch = file.get_string("general.architecture").value_or("");
  if (arch.empty()) return invalid_argument("general.architecture is missing");
  const ArchRow* row = find_gguf_arch(arch);
  if (!row) {
    std::string names;
    for (const ArchRow& r : archs()) {
      if (!r.gguf_arch.empty()) names += (names.empty() ? "" : ", ") + std::string(r.gguf_arch);
    }
    return error(ErrorCode::kUnimplemented, "GGUF architecture '{}' is not built; these are: {}", arch, names);
  }
  ModelConfig c;
  c.architecture = row->architecture, c.model_type = arch, c.from_gguf = true;
  Metadata meta(file, std::string(arch));
  RETURN_IF_ERROR(read_sizes(file, meta, c));
  RETURN_IF_ERROR(read_rope(file, meta, c));
  c.tie_word_embeddings = !file.find_tensor("output.weight");
  const GgufFields fields(file, arch);
  c.qkv_bias = fields.has_tensor("blk.0.attn_q.bias") || fields.has_tensor("blk.0.attn_qkv.bias");
  c.o_bias = fields.has_tensor("blk.0.attn_output.bias");
  c.mlp_bias = fields.has_tensor("blk.0.ffn_up.bias");
  RETURN_IF_ERROR(row->read_gguf(fields, c));
  if (c.layer_is_sliding.empty()) {
    c.layer_is_sliding.assign(static_cast<size_t>(c.num_layers), false);
    c.rope_local = c.rope;
  }
  // What llama.cpp writes as context_length is the trained context; a scaling that is not in it is the reader's
  // business.
  for (std::string_view key :
       {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    std::optional<int64_t> id = file.get_int(key);
    if (!id || *id < 0 || *id >= c.vocab_size) continue;
    if (std::find(c.eos_token_ids.begin(), c.eos_token_ids.end(), *id) == c.eos_token_ids.end()) {
      c.eos_token_ids.push_back(static_cast<int32_t>(*id));
    }
  }
  if (auto bos = file.get_int("tokenizer.ggml.bos_token_id"); bos && *bos >= 0 && *bos < c.vocab_size) {
    c.bos_token_id = static_cast<int32_t>(*bos);
  }
  RETURN_IF_ERROR(check_config(c));
  return c;
}

}  // namespace vllm::model
