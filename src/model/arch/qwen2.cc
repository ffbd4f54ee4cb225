// Qwen2 and Qwen2.5: Llama's body with biases on Q, K and V; sliding windows in the layers from max_window_layers on,
// if switched on.
#include "model/arch/registry.h"

namespace vllm::model {

Status read_qwen2(const ConfigFields& fields, ModelConfig& config) {
  config.qkv_bias = true;
  ASSIGN_OR_RETURN(bool use_window, fields.bool_or("use_sliding_window", false));
  if (!use_window) return {};
  ASSIGN_OR_RETURN(config.sliding_window, fields.int_or("sliding_window", 4096, 1, int64_t{1} << 40));
  ASSIGN_OR_RETURN(int64_t max_window_layers, fields.int_or("max_window_layers", 28, 0, 1 << 20));
  return read_layer_types(fields, config, [](int layer, int64_t first) { return layer >= first; }, max_window_layers);
}

Status read_qwen2_gguf(const GgufFields&, ModelConfig&) { return {}; }

}  // namespace vllm::model
