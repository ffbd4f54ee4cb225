#include "api/json_text.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

#include "base/utf8.h"

namespace vllm::api {
namespace {

// 0: copied as it is, 1: needs a closer look (control character, quote, backslash, or a byte of a longer character).
constexpr std::array<uint8_t, 256> kSpecial = [] {
  std::array<uint8_t, 256> table{};
  for (size_t c = 0; c < 0x20; ++c) table[c] = 1;
  for (size_t c = 0x80; c < 0x100; ++c) table[c] = 1;
  table['"'] = table['\\'] = table[0x7f] = 1;
  return table;
}();

}  // namespace

void append_escaped(std::string& out, std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    size_t plain = i;
    while (plain < text.size() && !kSpecial[static_cast<uint8_t>(text[plain])]) ++plain;
    out.append(text, i, plain - i);
    i = plain;
    if (i == text.size()) break;
    const auto c = static_cast<uint8_t>(text[i]);
    if (c >= 0x80) {
      const Utf8Step step = next_utf8(text.substr(i));
      if (step.state == Utf8State::kChar) {
        out.append(text, i, step.length);
      } else {
        out += "\xEF\xBF\xBD";
      }
      i += step.length;
      continue;
    }
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default: fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    }
    ++i;
  }
}

void append_string(std::string& out, std::string_view text) {
  out += '"';
  append_escaped(out, text);
  out += '"';
}

void append_int(std::string& out, int64_t value) {
  char buffer[24];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  out.append(buffer, end);
}

void append_double(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  char buffer[40];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  std::string_view text(buffer, static_cast<size_t>(end - buffer));
  out += text;
  if (text.find_first_not_of("-0123456789") == std::string_view::npos) out += ".0";  // stays a float for the reader
}

void append_ints(std::string& out, std::span<const int32_t> values) {
  out += '[';
  for (size_t i = 0; i < values.size(); ++i) {
    if (i) out += ',';
    append_int(out, values[i]);
  }
  out += ']';
}

std::string python_repr(std::string_view text) {
  const char quote = text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == quote || c == '\\') {
      out += '\\', out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\r') {
      out += "\\r";
    } else if (c == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out += quote;
}

std::string python_float(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  return fmt::format("{}", value).find_first_not_of("-0123456789") == std::string::npos ? fmt::format("{}.0", value)
                                                                                        : fmt::format("{}", value);
}

std::string python_summary(const json::value& value) {
  constexpr size_t kMaxChars = 200;
  switch (value.kind()) {
    case json::kind::null: return "None";
    case json::kind::bool_: return value.get_bool() ? "True" : "False";
    case json::kind::int64: return std::to_string(value.get_int64());
    case json::kind::uint64: return std::to_string(value.get_uint64());
    case json::kind::double_: return python_float(value.get_double());
    case json::kind::array: return fmt::format("<list of {} items>", value.get_array().size());
    case json::kind::object: return fmt::format("<dict of {} items>", value.get_object().size());
    case json::kind::string: break;
  }
  const auto& text = value.get_string();
  std::string_view view(text.data(), text.size());
  const size_t cut = utf8_prefix_bytes(view, kMaxChars);
  if (cut == view.size()) return std::string(view);
  return std::string(view.substr(0, cut)) + "...[truncated]";
}

}  // namespace vllm::api
