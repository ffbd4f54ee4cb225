#pragma once
// The only place that reads the environment.
#include <optional>
#include <string>

namespace vllm {
/// The variable's value; nullopt if unset. An empty value counts as unset, as shells and compose files leave them
/// behind.
std::optional<std::string> env(const char* name);
/// True for 1, true, yes, on (any case), as huggingface_hub and vLLM read switches.
bool env_flag(const char* name);
}  // namespace vllm
