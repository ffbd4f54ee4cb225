// StableLM 3B and 2: Llama's body with LayerNorms, a quarter of each head turned, optionally a norm of each head of Q
// and K and blocks side by side (12B).
#include "model/arch/registry.h"

namespace vllm::model {
namespace {

constexpr TensorName kNames[] = {
    {TensorId::kQNorm, "self_attn.q_layernorm.norms", Packing::kTensorPerHead},
    {TensorId::kKNorm, "self_attn.k_layernorm.norms", Packing::kTensorPerHead},
};

}  // namespace

constexpr HfNames kStableLmNames = {.names = kNames};

Status read_stablelm(const ConfigFields& fields, ModelConfig& config) {
  config.norm_type = NormType::kLayer, config.norm_bias = true;
  ASSIGN_OR_RETURN(config.qkv_bias, fields.bool_or("use_qkv_bias", false));
  ASSIGN_OR_RETURN(bool qk_norm, fields.bool_or("qk_layernorm", false));
  if (qk_norm) config.qk_norm = QkNorm::kEachHead;
  ASSIGN_OR_RETURN(bool parallel, fields.bool_or("use_parallel_residual", false));
  config.parallel_blocks = config.shared_norm = parallel;
  const json::object* parameters = get_object(fields.object(), "rope_parameters");
  if (!fields.has("partial_rotary_factor") && !(parameters && parameters->contains("partial_rotary_factor"))) {
    config.rope.partial_rotary_factor = 0.25;
  }
  return {};
}

Status read_stablelm_gguf(const GgufFields& fields, ModelConfig& config) {
  config.norm_type = NormType::kLayer, config.norm_bias = true;
  if (fields.has_tensor("blk.0.attn_q_norm.weight")) config.qk_norm = QkNorm::kEachHead;
  // Files say use_parallel_residual of models without it; the norm in front of the MLP tells.
  config.parallel_blocks = config.shared_norm = !fields.has_tensor("blk.0.ffn_norm.weight");
  return {};
}

}  // namespace vllm::model
