// Llama 2 and 3.x, and what shares its body: SmolLM2, TinyLlama, Yi. Rotary scaling and tied embeddings are common
// fields.
#include "model/arch/registry.h"

namespace vllm::model {

Status read_llama(const ConfigFields& fields, ModelConfig& config) {
  ASSIGN_OR_RETURN(bool attention_bias, fields.bool_or("attention_bias", false));
  config.qkv_bias = config.o_bias = attention_bias;
  ASSIGN_OR_RETURN(config.mlp_bias, fields.bool_or("mlp_bias", false));
  return {};
}

Status read_llama_gguf(const GgufFields&, ModelConfig& config) {
  config.interleaved_qk = true;
  return {};
}

}  // namespace vllm::model
