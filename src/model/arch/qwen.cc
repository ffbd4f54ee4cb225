// The first Qwen: Llama's body with one tensor for Q, K and V and its bias, GPT-2's names, and two rules for contexts
// beyond that of the training: a rotary base chosen by the context's length (dynamic NTK) and queries scaled by the
// logarithm of their position.
//
// The model's own code chooses the base anew for each prompt; here --max-model-len does once, so that a cached prefix
// serves prompts of any length. --max-model-len SEQ_LENGTH is the untouched base.
#include "model/arch/registry.h"

namespace vllm::model {
namespace {

constexpr TensorName kNames[] = {
    {TensorId::kEmbedding, "wte"},
    {TensorId::kFinalNorm, "ln_f"},
    {TensorId::kAttentionNorm, "ln_1"},
    {TensorId::kMlpNorm, "ln_2"},
    {TensorId::kQ, "attn.c_attn", Packing::kQkv},
    {TensorId::kK, "attn.c_attn", Packing::kQkv},
    {TensorId::kV, "attn.c_attn", Packing::kQkv},
    {TensorId::kO, "attn.c_proj"},
    {TensorId::kGate, "mlp.w2"},
    {TensorId::kUp, "mlp.w1"},
    {TensorId::kDown, "mlp.c_proj"},
};

}  // namespace

constexpr HfNames kQwenNames = {.layers = "h.", .names = kNames};

Status read_qwen(const ConfigFields& fields, ModelConfig& config) {
  config.weight_prefix = "transformer.";
  config.qkv_bias = true;
  ASSIGN_OR_RETURN(bool no_bias, fields.bool_or("no_bias", true));
  config.o_bias = config.mlp_bias = !no_bias;
  if (config.intermediate_size % 2 != 0) {
    return invalid_argument("intermediate_size is {}, expected an even number", config.intermediate_size);
  }
  config.intermediate_size /= 2;  // that of gate and up together
  ASSIGN_OR_RETURN(int64_t trained, fields.int_or("seq_length", config.max_position, 2, int64_t{1} << 30));
  ASSIGN_OR_RETURN(bool dynamic_ntk, fields.bool_or("use_dynamic_ntk", true));
  ASSIGN_OR_RETURN(bool log_n, fields.bool_or("use_logn_attn", true));
  if (dynamic_ntk) {
    config.rope.type = RopeType::kQwenNtk, config.rope.original_max_position = trained;
  } else {
    config.max_position = std::min(config.max_position, trained);
  }
  if (log_n) config.log_n_attention_length = trained;
  return {};
}

Status read_qwen_gguf(const GgufFields&, ModelConfig& config) {
  config.qkv_bias = true;
  if (config.intermediate_size % 2 != 0) {
    return invalid_argument("qwen.feed_forward_length is {}, expected an even number", config.intermediate_size);
  }
  config.intermediate_size /= 2;
  return {};
}

}  // namespace vllm::model
