#include "text/template/literals.h"

#include <charconv>

#include "text/template/utf8.h"

namespace vllm::text::tmpl {
namespace {

bool is_digit_of(char c, int base) {
  if (base == 16) return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  return c >= '0' && c < '0' + base;
}

// Digits with single underscores between them, from `pos`; returns the end.
size_t digits_end(std::string_view s, size_t pos, int base) {
  if (pos >= s.size() || !is_digit_of(s[pos], base)) return pos;
  while (pos < s.size()) {
    if (is_digit_of(s[pos], base))
      ++pos;
    else if (s[pos] == '_' && pos + 1 < s.size() && is_digit_of(s[pos + 1], base))
      pos += 2;
    else
      break;
  }
  return pos;
}

std::string without_underscores(std::string_view s) {
  std::string out;
  for (char c : s) {
    if (c != '_') out += c;
  }
  return out;
}

size_t float_length(std::string_view s) {
  size_t end = digits_end(s, 0, 10);
  if (end == 0) return 0;
  bool fraction = false;
  if (end < s.size() && s[end] == '.') {
    size_t after = digits_end(s, end + 1, 10);
    if (after > end + 1) fraction = true, end = after;
  }
  if (end < s.size() && (s[end] == 'e' || s[end] == 'E')) {
    size_t exponent = end + 1;
    if (exponent < s.size() && (s[exponent] == '+' || s[exponent] == '-')) ++exponent;
    size_t after = digits_end(s, exponent, 10);
    if (after > exponent) return after;
  }
  return fraction ? end : 0;
}

}  // namespace

size_t scan_number(std::string_view s, bool after_dot, NumberLiteral& out) {
  if (s.empty() || !is_digit_of(s[0], 10)) return 0;
  if (!after_dot) {
    if (size_t length = float_length(s)) {
      std::string text = without_underscores(s.substr(0, length));
      out.is_float = true;
      out.number = std::strtod(text.c_str(), nullptr);
      return length;
    }
  }
  int base = 10;
  size_t start = 0, length = 0;
  if (s[0] == '0') {
    char mark = s.size() > 1 ? static_cast<char>(s[1] | 0x20) : '\0';
    int marked = mark == 'b' ? 2 : mark == 'o' ? 8 : mark == 'x' ? 16 : 0;
    size_t first = s.size() > 2 && s[2] == '_' ? 3 : 2;
    if (marked && first < s.size() && is_digit_of(s[first], marked)) {
      base = marked;
      start = first;
      length = digits_end(s, first, marked);
    } else {
      length = 1;
      while (length < s.size()) {
        if (s[length] == '0')
          ++length;
        else if (s[length] == '_' && length + 1 < s.size() && s[length + 1] == '0')
          length += 2;
        else
          break;
      }
    }
  } else {
    length = digits_end(s, 0, 10);
  }
  std::string text = without_underscores(s.substr(start, length - start));
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out.integer, base);
  out.overflow = ec != std::errc() || end != text.data() + text.size();
  return length;
}

bool is_identifier(std::string_view name) {
  for (size_t pos = 0; pos < name.size();) {
    bool first = pos == 0;
    char32_t c = next_char(name, pos);
    if (c < 0x80) {
      if (first && c >= '0' && c <= '9') return false;
    } else if (!is_word(c) && (first || is_space(c) || !is_printable(c))) {
      return false;
    }
  }
  return !name.empty();
}

bool unescape(std::string_view body, std::string& out, std::string& problem) {
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i] != '\\') {
      out += body[i];
      continue;
    }
    if (++i >= body.size()) {
      problem = "\\ at end of string";
      return false;
    }
    char c = body[i];
    switch (c) {
      case '\n': break;
      case '\\':
      case '\'':
      case '"': out += c; break;
      case 'a': out += '\a'; break;
      case 'b': out += '\b'; break;
      case 'f': out += '\f'; break;
      case 'n': out += '\n'; break;
      case 'r': out += '\r'; break;
      case 't': out += '\t'; break;
      case 'v': out += '\v'; break;
      case 'x':
      case 'u':
      case 'U': {
        size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        uint32_t value = 0;
        const char* start = body.data() + i + 1;
        const char* end = start + std::min(digits, body.size() - i - 1);
        auto [stop, ec] = std::from_chars(start, end, value, 16);
        if (ec != std::errc() || stop != start + digits) {
          problem = c == 'x'   ? "truncated \\xXX escape"
                    : c == 'u' ? "truncated \\uXXXX escape"
                               : "truncated \\UXXXXXXXX escape";
          return false;
        }
        if (value > 0x10FFFF) {
          problem = "illegal Unicode character";
          return false;
        }
        append_char(out, value);
        i += digits;
        break;
      }
      case 'N': problem = "\\N{name} escapes are not supported"; return false;
      default:
        if (c >= '0' && c <= '7') {
          char32_t value = 0;
          size_t n = 0;
          while (n < 3 && i + n < body.size() && body[i + n] >= '0' && body[i + n] <= '7')
            value = value * 8 + (body[i + n++] - '0');
          append_char(out, value);
          i += n - 1;
        } else {
          out += '\\';
          out += c;
        }
    }
  }
  return true;
}

}  // namespace vllm::text::tmpl
