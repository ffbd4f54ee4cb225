// Qwen3: as Qwen2, but an RMSNorm over each head of Q and K in place of the biases, and head_dim given apart.
#include "model/arch/registry.h"

namespace vllm::model {

Status read_qwen3(const ConfigFields& fields, ModelConfig& config) {
  RETURN_IF_ERROR(read_qwen2(fields, config));
  ASSIGN_OR_RETURN(bool attention_bias, fields.bool_or("attention_bias", false));
  config.qkv_bias = config.o_bias = attention_bias;
  config.qk_norm = QkNorm::kHead;
  return {};
}

Status read_qwen3_gguf(const GgufFields&, ModelConfig& config) {
  config.qk_norm = QkNorm::kHead;
  return {};
}

}  // namespace vllm::model
