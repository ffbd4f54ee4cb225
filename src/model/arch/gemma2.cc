// Gemma 2: norms before and after each block with weights stored as w of (1 + w), GeGLU, scaled embeddings, soft caps
// of attention and logits, and a sliding window in every second layer.
#include <cmath>

#include "model/arch/registry.h"

namespace vllm::model {
namespace {

void set_common(ModelConfig& config) {
  config.post_norms = true;
  config.activation = Activation::kGeluTanh;
  config.embedding_scale = std::sqrt(static_cast<double>(config.hidden_size));
}

bool even(int layer, int64_t) { return layer % 2 == 0; }

}  // namespace

Status read_gemma2(const ConfigFields& fields, ModelConfig& config) {
  set_common(config);
  config.norm_weight_plus_one = true;
  ASSIGN_OR_RETURN(bool attention_bias, fields.bool_or("attention_bias", false));
  config.qkv_bias = config.o_bias = attention_bias;
  ASSIGN_OR_RETURN(bool bidirectional, fields.bool_or("use_bidirectional_attention", false));
  if (bidirectional) return error(ErrorCode::kUnimplemented, "use_bidirectional_attention is not built");
  ASSIGN_OR_RETURN(double scalar, fields.double_or("query_pre_attn_scalar", 256, 1e-6, 1e9));
  config.attention_scale = 1 / std::sqrt(scalar);
  // Absent is the class's default, null is none.
  auto cap = [&](std::string_view key, double absent) {
    return fields.double_or(key, fields.object().if_contains(key) ? 0 : absent, 1e-6, 1e9);
  };
  ASSIGN_OR_RETURN(config.attn_logit_softcap, cap("attn_logit_softcapping", 50));
  ASSIGN_OR_RETURN(config.final_logit_softcap, cap("final_logit_softcapping", 30));
  ASSIGN_OR_RETURN(config.sliding_window, fields.int_or("sliding_window", 4096, 1, int64_t{1} << 40));
  return read_layer_types(fields, config, even, 0);
}

Status read_gemma2_gguf(const GgufFields& fields, ModelConfig& config) {
  set_common(config);
  ASSIGN_OR_RETURN(config.attn_logit_softcap, fields.double_or("attn_logit_softcapping", 50, 0, 1e9));
  ASSIGN_OR_RETURN(config.final_logit_softcap, fields.double_or("final_logit_softcapping", 30, 0, 1e9));
  // The 27B scales by hidden_size / num_heads instead of head_dim, which only its depth tells.
  if (config.num_layers == 46)
    config.attention_scale = 1 / std::sqrt(static_cast<double>(config.hidden_size / config.num_heads));
  return read_gguf_windows(fields, config, 4096, 2);
}

}  // namespace vllm::model
