#pragma once
// Text to numbers as Python's int() and float() read it.
#include <cstdint>
#include <optional>
#include <string_view>

namespace vllm::text::tmpl {
/// int(s, base); nullopt: ValueError. A number of more than 64 bits is a TemplateFailure.
std::optional<int64_t> parse_int(std::string_view s, int64_t base);
/// float(s); nullopt: ValueError.
std::optional<double> parse_float(std::string_view s);
}  // namespace vllm::text::tmpl
