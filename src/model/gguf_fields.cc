#include "model/gguf_fields.h"

#include <cmath>

#include "model/config.h"

namespace vllm::model {

Result<int64_t> GgufFields::int_or(std::string_view key, int64_t fallback, int64_t min, int64_t max) const {
  if (!file_.find(name(key))) return fallback;
  std::optional<int64_t> value = file_.get_int(name(key));
  if (!value) return invalid_argument("{} is no whole number", name(key));
  if (*value < min || *value > max) return invalid_argument("{} is {}, expected {} to {}", name(key), *value, min, max);
  return *value;
}

Result<double> GgufFields::double_or(std::string_view key, double fallback, double min, double max) const {
  if (!file_.find(name(key))) return fallback;
  std::optional<double> value = file_.get_double(name(key));
  if (!value) return invalid_argument("{} is no number", name(key));
  if (!std::isfinite(*value) || *value < min || *value > max) {
    return invalid_argument("{} is {}, expected {} to {}", name(key), *value, min, max);
  }
  return *value;
}

Status read_gguf_windows(const GgufFields& fields, ModelConfig& config, int64_t default_window, int64_t pattern) {
  constexpr int64_t kMaxWindow = int64_t{1} << 40;
  ASSIGN_OR_RETURN(config.sliding_window, fields.int_or("attention.sliding_window", default_window, 0, kMaxWindow));
  if (std::optional<int64_t> every = fields.file().get_int(fields.name("attention.sliding_window_pattern"))) {
    if (*every < 1) return invalid_argument("{} is {}", fields.name("attention.sliding_window_pattern"), *every);
    pattern = *every;
  }
  for (int64_t i = 0; i < config.num_layers; ++i) {
    config.layer_is_sliding.push_back(config.sliding_window > 0 && (i + 1) % pattern != 0);
  }
  config.rope_local = config.rope;
  return {};
}

}  // namespace vllm::model
