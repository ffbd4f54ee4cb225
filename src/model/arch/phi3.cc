// Phi-3, 3.5, 4 and 4-mini: Llama's body with Q, K, V and gate, up stored as one tensor each; longrope, partial
// rotation and a sliding window are common fields.
#include "model/arch/registry.h"

namespace vllm::model {
namespace {

constexpr TensorName kNames[] = {
    {TensorId::kQ, "self_attn.qkv_proj", Packing::kQkv},   {TensorId::kK, "self_attn.qkv_proj", Packing::kQkv},
    {TensorId::kV, "self_attn.qkv_proj", Packing::kQkv},   {TensorId::kGate, "mlp.gate_up_proj", Packing::kGateUp},
    {TensorId::kUp, "mlp.gate_up_proj", Packing::kGateUp},
};

}  // namespace

constexpr HfNames kPhi3Names = {.names = kNames};

Status read_phi3(const ConfigFields& fields, ModelConfig& config) {
  ASSIGN_OR_RETURN(config.sliding_window, fields.int_or("sliding_window", 0, 1, int64_t{1} << 40));
  if (config.sliding_window >= config.max_position) config.sliding_window = 0;  // the 128k models: 262144
  return read_layer_types(fields, config, [](int, int64_t) { return true; }, 0);
}

Status read_phi3_gguf(const GgufFields& fields, ModelConfig& config) {
  ASSIGN_OR_RETURN(config.sliding_window, fields.int_or("attention.sliding_window", 0, 0, int64_t{1} << 40));
  if (config.sliding_window >= config.max_position) config.sliding_window = 0;
  config.layer_is_sliding.assign(static_cast<size_t>(config.num_layers), config.sliding_window > 0);
  config.rope_local = config.rope;
  return {};
}

}  // namespace vllm::model
