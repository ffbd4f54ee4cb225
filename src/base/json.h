#pragma once
// Boost.JSON behind Result: the one JSON library, compiled once in json.cc. Nothing here throws for bad input.
#include <boost/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace vllm {

namespace json = boost::json;

struct JsonLimits {
  int max_depth = 128;  // nesting; deeper input is refused, so no later walk can overflow the stack
};

/// Parse UTF-8 JSON. kInvalidArgument names the line, column and reason.
Result<json::value> parse_json(std::string_view text, const JsonLimits& limits = {});

/// Typed look-ups for config files: nullopt if absent or null, or of another type (an integral double counts as an
/// integer).
std::optional<int64_t> get_int(const json::object& object, std::string_view key);
std::optional<double> get_double(const json::object& object, std::string_view key);
std::optional<bool> get_bool(const json::object& object, std::string_view key);
std::optional<std::string> get_string(const json::object& object, std::string_view key);
const json::object* get_object(const json::object& object, std::string_view key);  // nullptr if absent
const json::array* get_array(const json::object& object, std::string_view key);    // nullptr if absent

}  // namespace vllm
