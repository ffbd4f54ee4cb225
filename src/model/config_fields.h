#pragma once
// Checked look-ups in a config.json object: a field of the wrong type or out of its range is an error that names it.
// null counts as absent, as Python's None does.
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace vllm::model {

class ConfigFields {
 public:
  explicit ConfigFields(const json::object& object) : object_(object) {}

  bool has(std::string_view key) const;
  Result<int64_t> require_int(std::string_view key, int64_t min, int64_t max) const;
  Result<int64_t> int_or(std::string_view key, int64_t fallback, int64_t min, int64_t max) const;
  /// Finite, min <= value <= max.
  Result<double> double_or(std::string_view key, double fallback, double min, double max) const;
  Result<bool> bool_or(std::string_view key, bool fallback) const;
  Result<std::string> string_or(std::string_view key, std::string fallback) const;
  const json::object& object() const { return object_; }

 private:
  const json::object& object_;
};

/// A value as JSON, cut short for error messages.
std::string brief(const json::value& value);

}  // namespace vllm::model
