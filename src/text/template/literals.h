#pragma once
// Literals inside tags: numbers, identifiers, string escapes.
#include <cstdint>
#include <string>
#include <string_view>

namespace vllm::text::tmpl {

struct NumberLiteral {
  bool is_float = false;
  bool overflow = false;
  int64_t integer = 0;
  double number = 0;
};

/// Length of the number at the start of `s` (0: none). After a dot (`x.0.1`) no float starts.
size_t scan_number(std::string_view s, bool after_dot, NumberLiteral& out);
bool is_identifier(std::string_view name);
/// Python's escapes of a string body; false with the reason in `problem` for a malformed one.
bool unescape(std::string_view body, std::string& out, std::string& problem);

}  // namespace vllm::text::tmpl
