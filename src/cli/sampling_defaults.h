#pragma once
// Defaults of sampling: request > --override-generation-config > --temperature > generation_config.json > vLLM's.
#include <optional>

#include "base/json.h"
#include "base/result.h"
#include "model/config.h"

namespace vllm::cli {
/// Put the flags' values over the checkpoint's. kInvalidArgument names an unknown key or a value out of range.
Status override_generation(model::GenerationConfig& config, std::optional<double> temperature,
                           const json::object& overrides);
}  // namespace vllm::cli
