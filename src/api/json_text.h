#pragma once
// Writing JSON by hand into a buffer (answers and stream chunks), and values as Python prints them (error messages).
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/json.h"

namespace vllm::api {

/// Append `text` as a JSON string. Ill-formed UTF-8 comes out as U+FFFD, so the result is always valid JSON.
void append_string(std::string& out, std::string_view text);
void append_int(std::string& out, int64_t value);
/// Shortest text that reads back as the same double ("-0.25", "1e-07"); NaN and infinities are no JSON and become null.
void append_double(std::string& out, double value);
/// [1,2,3]
void append_ints(std::string& out, std::span<const int32_t> values);
/// Escape for JSON without the quotes.
void append_escaped(std::string& out, std::string_view text);

/// repr() of a Python str: quotes chosen as Python does, control characters escaped.
std::string python_repr(std::string_view text);
/// repr() of a Python float: 0.0, -0.1, 1e-07, inf, nan.
std::string python_float(double value);
/// str() of a JSON scalar as Python shows it (True, None, 8.5); containers become <list of N items>; cut at 200
/// characters.
std::string python_summary(const json::value& value);

}  // namespace vllm::api
