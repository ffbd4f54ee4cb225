#include "cli/sampling_defaults.h"

namespace vllm::cli {
namespace {

struct Field {
  std::string_view name;
  double lowest, highest;
  void (*set)(model::GenerationConfig&, double);
};

constexpr Field kFields[] = {
    {"temperature", 0, 2, [](model::GenerationConfig& c, double v) { c.temperature = v; }},
    {"top_p", 1e-9, 1, [](model::GenerationConfig& c, double v) { c.top_p = v; }},
    {"min_p", 0, 1, [](model::GenerationConfig& c, double v) { c.min_p = v; }},
    {"top_k", -1, 1 << 30, [](model::GenerationConfig& c, double v) { c.top_k = static_cast<int>(v); }},
    {"repetition_penalty", 1e-9, 1e9, [](model::GenerationConfig& c, double v) { c.repetition_penalty = v; }},
    {"max_new_tokens", 1, 1 << 30,
     [](model::GenerationConfig& c, double v) { c.max_new_tokens = static_cast<int>(v); }},
};

}  // namespace

Status override_generation(model::GenerationConfig& config, std::optional<double> temperature,
                           const json::object& overrides) {
  if (temperature) config.temperature = *temperature;
  for (const auto& item : overrides) {
    std::string_view key = item.key();
    const Field* field = nullptr;
    std::string known;
    for (const Field& f : kFields) {
      if (f.name == key) field = &f;
      known += (known.empty() ? "" : ", ") + std::string(f.name);
    }
    if (!field) return invalid_argument("--override-generation-config: unknown key \"{}\"; known: {}", key, known);
    auto value = get_double(overrides, key);
    if (!value || *value < field->lowest || *value > field->highest) {
      return invalid_argument("--override-generation-config: {} must be a number from {} to {}", key, field->lowest,
                              field->highest);
    }
    field->set(config, *value);
  }
  return {};
}

}  // namespace vllm::cli
