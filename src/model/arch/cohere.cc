// Cohere's Command-R and R+ (Cohere) and Command-R7B, A (Cohere 2): attention and MLP side by side behind one LayerNorm
// without bias, interleaved rotary pairs, scaled logits. R+ norms each head of Q and K; Cohere 2 has sliding windows in
// three of four layers and no positions in the fourth.
#include "model/arch/registry.h"

namespace vllm::model {
namespace {

void set_blocks(ModelConfig& config) {
  config.norm_type = NormType::kLayer;
  config.parallel_blocks = config.shared_norm = true;
  config.interleaved_qk = true;
}

Status read_common(const ConfigFields& fields, ModelConfig& config) {
  set_blocks(config);
  // The context that the model was trained for, where max_position_embeddings is what its first server could hold.
  ASSIGN_OR_RETURN(config.max_position, fields.int_or("model_max_length", config.max_position, 1, int64_t{1} << 30));
  ASSIGN_OR_RETURN(bool attention_bias, fields.bool_or("attention_bias", false));
  config.qkv_bias = config.o_bias = attention_bias;
  ASSIGN_OR_RETURN(config.logits_scale, fields.double_or("logit_scale", 0.0625, 1e-9, 1e9));
  return {};
}

Status read_common_gguf(const GgufFields& fields, ModelConfig& config) {
  set_blocks(config);
  ASSIGN_OR_RETURN(config.logits_scale, fields.double_or("logit_scale", 1, 1e-9, 1e9));
  return {};
}

}  // namespace

Status read_cohere(const ConfigFields& fields, ModelConfig& config) {
  ASSIGN_OR_RETURN(bool qk_norm, fields.bool_or("use_qk_norm", false));
  if (qk_norm) config.qk_norm = QkNorm::kEachHead;
  return read_common(fields, config);
}

Status read_cohere2(const ConfigFields& fields, ModelConfig& config) {
  config.rope_on_sliding_only = true;
  ASSIGN_OR_RETURN(config.sliding_window, fields.int_or("sliding_window", 4096, 1, int64_t{1} << 40));
  ASSIGN_OR_RETURN(int64_t pattern, fields.int_or("sliding_window_pattern", 4, 1, 1 << 20));
  RETURN_IF_ERROR(
      read_layer_types(fields, config, [](int layer, int64_t every) { return (layer + 1) % every != 0; }, pattern));
  return read_common(fields, config);
}

Status read_cohere_gguf(const GgufFields& fields, ModelConfig& config) {
  if (fields.has_tensor("blk.0.attn_q_norm.weight")) config.qk_norm = QkNorm::kEachHead;
  return read_common_gguf(fields, config);
}

Status read_cohere2_gguf(const GgufFields& fields, ModelConfig& config) {
  config.rope_on_sliding_only = true;
  RETURN_IF_ERROR(read_gguf_windows(fields, config, 4096, 4));
  return read_common_gguf(fields, config);
}

}  // namespace vllm::model
