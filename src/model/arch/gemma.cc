#include "model/arch/gemma.h"

#include <cmath>

namespace vllm::model {

void set_gemma_common(ModelConfig& config) {
  config.post_norms = true;
  config.activation = Activation::kGeluTanh;
  config.embedding_scale = std::sqrt(static_cast<double>(config.hidden_size));
}

Status read_gemma_common(const ConfigFields& fields, ModelConfig& config) {
  set_gemma_common(config);
  config.norm_weight_plus_one = true;
  ASSIGN_OR_RETURN(bool attention_bias, fields.bool_or("attention_bias", false));
  config.qkv_bias = config.o_bias = attention_bias;
  ASSIGN_OR_RETURN(bool bidirectional, fields.bool_or("use_bidirectional_attention", false));
  if (bidirectional) return error(ErrorCode::kUnimplemented, "use_bidirectional_attention is not built");
  ASSIGN_OR_RETURN(double scalar, fields.double_or("query_pre_attn_scalar", 256, 1e-6, 1e9));
  config.attention_scale = 1 / std::sqrt(scalar);
  ASSIGN_OR_RETURN(config.sliding_window, fields.int_or("sliding_window", 4096, 1, int64_t{1} << 40));
  return {};
}

void set_gemma_27b_scale(ModelConfig& config, int layers) {
  if (config.num_layers == layers)
    config.attention_scale = 1 / std::sqrt(static_cast<double>(config.hidden_size / config.num_heads));
}

}  // namespace vllm::model
