#include "base/json.h"

#include <algorithm>
#include <boost/json/src.hpp>  // the library's only translation unit
#include <cmath>

namespace vllm {

Result<json::value> parse_json(std::string_view text, const JsonLimits& limits) {
  json::parse_options options;
  options.max_depth = static_cast<size_t>(limits.max_depth);
  try {
    json::stream_parser parser({}, options);
    boost::system::error_code ec;
    size_t used = parser.write_some(text.data(), text.size(), ec);
    if (!ec && used < text.size()) {
      size_t rest = text.find_first_not_of(" \t\r\n", used);
      if (rest != std::string_view::npos) {
        used = rest;
        ec = json::make_error_code(json::error::extra_data);
      }
    }
    if (!ec) parser.finish(ec);
    if (ec) {
      std::string_view before = text.substr(0, std::min(used, text.size()));
      auto line = 1 + std::count(before.begin(), before.end(), '\n');
      size_t newline = before.rfind('\n');
      size_t column = before.size() - (newline == std::string_view::npos ? 0 : newline + 1) + 1;
      return invalid_argument("invalid JSON at line {} column {}: {}", line, column, ec.message());
    }
    return parser.release();
  } catch (const std::exception& e) {
    return invalid_argument("invalid JSON: {}", e.what());
  }
}

std::optional<int64_t> get_int(const json::object& object, std::string_view key) {
  const json::value* v = object.if_contains(key);
  if (!v) return std::nullopt;
  if (v->is_int64()) return v->get_int64();
  if (v->is_uint64() && v->get_uint64() <= INT64_MAX) return static_cast<int64_t>(v->get_uint64());
  if (v->is_double() && std::trunc(v->get_double()) == v->get_double() && std::abs(v->get_double()) < 9e15) {
    return static_cast<int64_t>(v->get_double());
  }
  return std::nullopt;
}

std::optional<double> get_double(const json::object& object, std::string_view key) {
  const json::value* v = object.if_contains(key);
  if (!v) return std::nullopt;
  if (v->is_double()) return v->get_double();
  if (v->is_int64()) return static_cast<double>(v->get_int64());
  if (v->is_uint64()) return static_cast<double>(v->get_uint64());
  return std::nullopt;
}

std::optional<bool> get_bool(const json::object& object, std::string_view key) {
  const json::value* v = object.if_contains(key);
  return v && v->is_bool() ? std::optional(v->get_bool()) : std::nullopt;
}

std::optional<std::string> get_string(const json::object& object, std::string_view key) {
  const json::value* v = object.if_contains(key);
  return v && v->is_string() ? std::optional(std::string(v->get_string())) : std::nullopt;
}

const json::object* get_object(const json::object& object, std::string_view key) {
  const json::value* v = object.if_contains(key);
  return v ? v->if_object() : nullptr;
}

const json::array* get_array(const json::object& object, std::string_view key) {
  const json::value* v = object.if_contains(key);
  return v ? v->if_array() : nullptr;
}

}  // namespace vllm
