// Gemma 3 (text): norms before and after each block with weights stored as w of (1 + w), QK-norm, GeGLU, scaled
// embeddings, and five sliding-window layers with their own rotary base for each full-attention layer.
#include "model/arch/gemma.h"
#include "model/rope_config.h"

namespace vllm::model {
namespace {

bool five_of_six(int layer, int64_t pattern) { return (layer + 1) % pattern != 0; }

// Old files: rope_theta and rope_scaling for the full-attention layers, rope_local_base_freq for the others. New files:
// rope_parameters with one object per layer type.
Status read_gemma_rope(const ConfigFields& fields, ModelConfig& config) {
  int64_t context = config.max_position;
  ASSIGN_OR_RETURN(config.rope.theta, fields.double_or("rope_theta", 1e6, 1e-3, 1e15));
  ASSIGN_OR_RETURN(config.rope_local.theta, fields.double_or("rope_local_base_freq", 1e4, 1e-3, 1e15));
  if (fields.has("rope_scaling")) {
    ASSIGN_OR_RETURN(config.rope, read_rope(fields, context, 1e6));
  }
  if (!fields.has("rope_parameters")) return {};
  const json::object* parameters = get_object(fields.object(), "rope_parameters");
  if (!parameters)
    return invalid_argument("rope_parameters is {}, expected an object", brief(fields.object().at("rope_parameters")));
  if (const json::object* full = get_object(*parameters, "full_attention")) {
    ASSIGN_OR_RETURN(config.rope,
                     read_rope_object(*full, config.rope, context).with_context("rope_parameters.full_attention"));
  }
  if (const json::object* local = get_object(*parameters, "sliding_attention")) {
    ASSIGN_OR_RETURN(
        config.rope_local,
        read_rope_object(*local, config.rope_local, context).with_context("rope_parameters.sliding_attention"));
  }
  return {};
}

}  // namespace

Status read_gemma3(const ConfigFields& fields, ModelConfig& config) {
  RETURN_IF_ERROR(read_gemma_common(fields, config));
  config.qk_norm = QkNorm::kHead;
  // attn_logit_softcapping is a field of the config class that neither transformers' nor vLLM's Gemma 3 uses.
  ASSIGN_OR_RETURN(config.final_logit_softcap, fields.double_or("final_logit_softcapping", 0, 0, 1e9));
  ASSIGN_OR_RETURN(int64_t new_pattern, fields.int_or("_sliding_window_pattern", 6, 1, 1 << 20));
  ASSIGN_OR_RETURN(int64_t pattern, fields.int_or("sliding_window_pattern", new_pattern, 1, 1 << 20));
  RETURN_IF_ERROR(read_layer_types(fields, config, five_of_six, pattern));
  return read_gemma_rope(fields, config);
}

Status read_gemma3_gguf(const GgufFields& fields, ModelConfig& config) {
  set_gemma_common(config);
  config.qk_norm = QkNorm::kHead;
  // The metadata has neither the pattern nor the local base in files made before llama.cpp wrote them.
  RETURN_IF_ERROR(read_gguf_windows(fields, config, 0, 6));
  config.rope_local = {};
  ASSIGN_OR_RETURN(config.rope_local.theta, fields.double_or("rope.freq_base_swa", 1e4, 1e-3, 1e15));
  ASSIGN_OR_RETURN(config.final_logit_softcap, fields.double_or("final_logit_softcapping", 0, 0, 1e9));
  set_gemma_27b_scale(config, 62);
  return {};
}

}  // namespace vllm::model
