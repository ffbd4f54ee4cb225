// InternLM 2 and 2.5: Llama's body with Q, K and V stored in one tensor by KV group, under names of its own.
#include "model/arch/registry.h"

namespace vllm::model {
namespace {

constexpr TensorName kNames[] = {
    {TensorId::kEmbedding, "tok_embeddings"},
    {TensorId::kAttentionNorm, "attention_norm"},
    {TensorId::kMlpNorm, "ffn_norm"},
    {TensorId::kQ, "attention.wqkv", Packing::kQkvGroups},
    {TensorId::kK, "attention.wqkv", Packing::kQkvGroups},
    {TensorId::kV, "attention.wqkv", Packing::kQkvGroups},
    {TensorId::kO, "attention.wo"},
    {TensorId::kGate, "feed_forward.w1"},
    {TensorId::kUp, "feed_forward.w3"},
    {TensorId::kDown, "feed_forward.w2"},
};

}  // namespace

constexpr HfNames kInternLm2Names = {.names = kNames, .lm_head = "output"};

Status read_internlm2(const ConfigFields& fields, ModelConfig& config) {
  ASSIGN_OR_RETURN(bool bias, fields.bool_or("bias", false));
  config.qkv_bias = config.o_bias = bias;
  return {};
}

Status read_internlm2_gguf(const GgufFields& fields, ModelConfig& config) { return read_llama_gguf(fields, config); }

}  // namespace vllm::model
