#pragma once
// "Did you mean": the nearest of the names that are known.
#include <string>
#include <string_view>
#include <vector>

namespace vllm {
/// The name in `known`, or else among popular models, that `model` is probably a misspelling of; empty if none is near.
std::string nearest_model(std::string_view model, const std::vector<std::string>& known);
}  // namespace vllm
