#include "model/config_fields.h"

#include <cmath>

namespace vllm::model {

std::string brief(const json::value& value) {
  std::string text = json::serialize(value);
  return text.size() > 60 ? text.substr(0, 60) + "..." : text;
}

bool ConfigFields::has(std::string_view key) const {
  const json::value* v = object_.if_contains(key);
  return v && !v->is_null();
}

Result<int64_t> ConfigFields::require_int(std::string_view key, int64_t min, int64_t max) const {
  if (!has(key)) return invalid_argument("{} is missing", key);
  return int_or(key, 0, min, max);
}

Result<int64_t> ConfigFields::int_or(std::string_view key, int64_t fallback, int64_t min, int64_t max) const {
  if (!has(key)) return fallback;
  std::optional<int64_t> value = get_int(object_, key);
  if (!value) return invalid_argument("{} is {}, expected a whole number", key, brief(object_.at(key)));
  if (*value < min || *value > max) return invalid_argument("{} is {}, expected {} to {}", key, *value, min, max);
  return *value;
}

Result<double> ConfigFields::double_or(std::string_view key, double fallback, double min, double max) const {
  if (!has(key)) return fallback;
  std::optional<double> value = get_double(object_, key);
  if (!value) return invalid_argument("{} is {}, expected a number", key, brief(object_.at(key)));
  if (!std::isfinite(*value) || *value < min || *value > max) {
    return invalid_argument("{} is {}, expected {} to {}", key, *value, min, max);
  }
  return *value;
}

Result<bool> ConfigFields::bool_or(std::string_view key, bool fallback) const {
  if (!has(key)) return fallback;
  std::optional<bool> value = get_bool(object_, key);
  if (!value) return invalid_argument("{} is {}, expected true or false", key, brief(object_.at(key)));
  return *value;
}

Result<std::string> ConfigFields::string_or(std::string_view key, std::string fallback) const {
  if (!has(key)) return fallback;
  std::optional<std::string> value = get_string(object_, key);
  if (!value) return invalid_argument("{} is {}, expected a string", key, brief(object_.at(key)));
  return *value;
}

}  // namespace vllm::model
