// OLMo 2: Llama's body with norms behind the blocks instead of in front, and an RMSNorm over all of Q and all of K.
#include "model/arch/registry.h"

namespace vllm::model {
namespace {

void set_common(ModelConfig& config) {
  config.pre_norms = false, config.post_norms = true;
  config.qk_norm = QkNorm::kWhole;
}

}  // namespace

Status read_olmo2(const ConfigFields& fields, ModelConfig& config) {
  set_common(config);
  ASSIGN_OR_RETURN(bool attention_bias, fields.bool_or("attention_bias", false));
  config.qkv_bias = config.o_bias = attention_bias;
  return {};
}

Status read_olmo2_gguf(const GgufFields& fields, ModelConfig& config) {
  set_common(config);
  if (fields.file().find(fields.name("attention.sliding_window"))) {
    return error(ErrorCode::kUnimplemented, "OLMo 3 (olmo2 with a sliding window) is not built");
  }
  return {};
}

}  // namespace vllm::model
