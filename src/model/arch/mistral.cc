// Mistral: Llama's body, in v0.1 with a sliding window in every layer.
#include "model/arch/registry.h"

namespace vllm::model {

Status read_mistral(const ConfigFields& fields, ModelConfig& config) {
  // Absent means 4096, null none: MistralConfig of transformers.
  bool absent = !fields.object().if_contains("sliding_window");
  ASSIGN_OR_RETURN(config.sliding_window, fields.int_or("sliding_window", absent ? 4096 : 0, 1, int64_t{1} << 40));
  return read_layer_types(fields, config, [](int, int64_t) { return true; }, 0);
}

}  // namespace vllm::model
