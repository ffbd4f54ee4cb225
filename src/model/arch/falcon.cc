// Falcon 7B (one KV head, one norm in front of both blocks), 40B and 180B (grouped KV heads, a norm for each block),
// and the small RW models' blocks one after the other: LayerNorms, an MLP without a gate, Q, K and V in one tensor by
// group.
#include "model/arch/registry.h"

namespace vllm::model {
namespace {

constexpr TensorName kNames[] = {
    {TensorId::kEmbedding, "word_embeddings"},
    {TensorId::kFinalNorm, "ln_f"},
    {TensorId::kAttentionNorm, "input_layernorm"},
    {TensorId::kAttentionNorm, "ln_attn"},
    {TensorId::kMlpNorm, "post_attention_layernorm"},
    {TensorId::kMlpNorm, "ln_mlp"},
    {TensorId::kQ, "self_attention.query_key_value", Packing::kQkvGroups},
    {TensorId::kK, "self_attention.query_key_value", Packing::kQkvGroups},
    {TensorId::kV, "self_attention.query_key_value", Packing::kQkvGroups},
    {TensorId::kO, "self_attention.dense"},
    {TensorId::kUp, "mlp.dense_h_to_4h"},
    {TensorId::kDown, "mlp.dense_4h_to_h"},
};

}  // namespace

constexpr HfNames kFalconNames = {.layers = "h.", .names = kNames};

Status read_falcon(const ConfigFields& fields, ModelConfig& config) {
  config.weight_prefix = "transformer.";
  config.norm_type = NormType::kLayer, config.norm_bias = true;
  config.gated_mlp = false;
  ASSIGN_OR_RETURN(bool alibi, fields.bool_or("alibi", false));
  if (alibi) return error(ErrorCode::kUnimplemented, "alibi (positions as a bias of attention scores) is not built");
  ASSIGN_OR_RETURN(bool bias, fields.bool_or("bias", false));
  config.qkv_bias = config.o_bias = config.mlp_bias = bias;
  ASSIGN_OR_RETURN(bool new_form, fields.bool_or("new_decoder_architecture", false));
  ASSIGN_OR_RETURN(bool one_kv_head, fields.bool_or("multi_query", true));
  ASSIGN_OR_RETURN(bool parallel, fields.bool_or("parallel_attn", true));
  if (!new_form) config.num_kv_heads = one_kv_head ? 1 : config.num_heads;
  ASSIGN_OR_RETURN(int64_t norms, fields.int_or("num_ln_in_parallel_attn", new_form ? 2 : 1, 1, 2));
  // transformers runs the new form's blocks side by side whatever parallel_attn says, but without its norms.
  if (new_form && !parallel) return invalid_argument("new_decoder_architecture without parallel_attn");
  config.parallel_blocks = parallel;
  config.shared_norm = parallel && !(new_form && norms == 2);
  return {};
}

Status read_falcon_gguf(const GgufFields& fields, ModelConfig& config) {
  config.norm_type = NormType::kLayer, config.norm_bias = true;
  config.gated_mlp = false;
  config.activation = Activation::kGelu;
  config.parallel_blocks = true;
  config.shared_norm = !fields.has_tensor("blk.0.attn_norm_2.weight");
  return {};
}

}  // namespace vllm::model
