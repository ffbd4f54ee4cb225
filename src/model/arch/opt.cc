// OPT: LayerNorms, learned positions from row 2 on, an MLP without a gate, biases everywhere. The 350M norms the
// residual stream behind each block, has no last norm, and projects a narrower embedding to the model's width and back.
#include "model/arch/registry.h"

namespace vllm::model {
namespace {

constexpr TensorName kNames[] = {
    {TensorId::kPositions, "embed_positions"},
    {TensorId::kProjectIn, "project_in"},
    {TensorId::kProjectOut, "project_out"},
    {TensorId::kFinalNorm, "final_layer_norm"},
    {TensorId::kAttentionNorm, "self_attn_layer_norm"},
    {TensorId::kMlpNorm, "final_layer_norm"},
    {TensorId::kO, "self_attn.out_proj"},
    {TensorId::kUp, "fc1"},
    {TensorId::kDown, "fc2"},
};

}  // namespace

constexpr HfNames kOptNames = {.names = kNames};

Status read_opt(const ConfigFields& fields, ModelConfig& config) {
  config.weight_prefix = "model.decoder.";
  config.norm_type = NormType::kLayer, config.norm_bias = true;
  config.position = PositionType::kLearned, config.position_offset = 2, config.rope = {};
  config.gated_mlp = false;
  ASSIGN_OR_RETURN(bool bias, fields.bool_or("enable_bias", true));
  config.qkv_bias = config.o_bias = config.mlp_bias = bias;
  ASSIGN_OR_RETURN(bool affine, fields.bool_or("layer_norm_elementwise_affine", true));
  if (!affine) return error(ErrorCode::kUnimplemented, "layer_norm_elementwise_affine false is not built");
  ASSIGN_OR_RETURN(bool before, fields.bool_or("do_layer_norm_before", true));
  ASSIGN_OR_RETURN(bool no_final, fields.bool_or("_remove_final_layer_norm", false));
  config.pre_norms = before, config.norm_after_add = !before, config.final_norm = before && !no_final;
  ASSIGN_OR_RETURN(int64_t width, fields.int_or("word_embed_proj_dim", config.hidden_size, 1, int64_t{1} << 20));
  if (width != config.hidden_size) config.embedding_size = width;
  return {};
}

}  // namespace vllm::model
