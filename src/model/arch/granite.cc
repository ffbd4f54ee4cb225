// Granite 3: Llama's body with a multiplier for the embedding, each block's output, the attention scores and (as a
// divisor) the logits.
#include "model/arch/registry.h"

namespace vllm::model {

Status read_granite(const ConfigFields& fields, ModelConfig& config) {
  RETURN_IF_ERROR(read_llama(fields, config));
  ASSIGN_OR_RETURN(config.embedding_scale, fields.double_or("embedding_multiplier", 1, 1e-9, 1e9));
  ASSIGN_OR_RETURN(config.residual_scale, fields.double_or("residual_multiplier", 1, 1e-9, 1e9));
  ASSIGN_OR_RETURN(config.attention_scale, fields.double_or("attention_multiplier", 1, 1e-9, 1e9));
  ASSIGN_OR_RETURN(double divisor, fields.double_or("logits_scaling", 1, 1e-9, 1e9));
  config.logits_scale = 1 / divisor;
  return {};
}

Status read_granite_gguf(const GgufFields& fields, ModelConfig& config) {
  config.interleaved_qk = true;
  ASSIGN_OR_RETURN(config.embedding_scale, fields.double_or("embedding_scale", 1, 1e-9, 1e9));
  ASSIGN_OR_RETURN(config.residual_scale, fields.double_or("residual_scale", 1, 1e-9, 1e9));
  ASSIGN_OR_RETURN(config.attention_scale, fields.double_or("attention.scale", 0, 0, 1e9));
  ASSIGN_OR_RETURN(double divisor, fields.double_or("logit_scale", 1, 1e-9, 1e9));
  config.logits_scale = 1 / divisor;
  return {};
}

}  // namespace vllm::model
