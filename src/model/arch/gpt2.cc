// GPT-2: LayerNorms, learned positions, an MLP without a gate, biases everywhere, weights stored transposed.
#include "model/arch/registry.h"

namespace vllm::model {
namespace {

constexpr TensorName kNames[] = {
    {TensorId::kEmbedding, "wte"},
    {TensorId::kPositions, "wpe"},
    {TensorId::kFinalNorm, "ln_f"},
    {TensorId::kAttentionNorm, "ln_1"},
    {TensorId::kMlpNorm, "ln_2"},
    {TensorId::kQ, "attn.c_attn", Packing::kQkv, true},
    {TensorId::kK, "attn.c_attn", Packing::kQkv, true},
    {TensorId::kV, "attn.c_attn", Packing::kQkv, true},
    {TensorId::kO, "attn.c_proj", Packing::kAlone, true},
    {TensorId::kUp, "mlp.c_fc", Packing::kAlone, true},
    {TensorId::kDown, "mlp.c_proj", Packing::kAlone, true},
};

void set_common(ModelConfig& config) {
  config.norm_type = NormType::kLayer, config.norm_bias = true;
  config.position = PositionType::kLearned, config.rope = {};
  config.gated_mlp = false;
  config.qkv_bias = config.o_bias = config.mlp_bias = true;
}

}  // namespace

constexpr HfNames kGpt2Names = {.layers = "h.", .names = kNames};

Status read_gpt2(const ConfigFields& fields, ModelConfig& config) {
  set_common(config);
  config.weight_prefix = "transformer.";
  ASSIGN_OR_RETURN(bool scaled, fields.bool_or("scale_attn_weights", true));
  if (!scaled) config.attention_scale = 1;
  for (std::string_view key : {"scale_attn_by_inverse_layer_idx", "add_cross_attention"}) {
    ASSIGN_OR_RETURN(bool set, fields.bool_or(key, false));
    if (set) return error(ErrorCode::kUnimplemented, "{} is not built", key);
  }
  return {};
}

Status read_gpt2_gguf(const GgufFields&, ModelConfig& config) {
  set_common(config);
  config.activation = Activation::kGeluTanh;
  return {};
}

}  // namespace vllm::model
