#include "text/template/numbers.h"

#include <charconv>
#include <cstdlib>
#include <string>

#include "text/template/failure.h"
#include "text/template/utf8.h"

namespace vllm::text::tmpl {
namespace {

// Without blanks around and single underscores between digits; nullopt if an underscore stands elsewhere.
std::optional<std::string> cleaned(std::string_view s) {
  s = strip_right(strip_left(s));
  std::string out;
  for (size_t i = 0; i < s.size(); ++i) {
    auto alnum = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    if (s[i] != '_') {
      out += s[i];
    } else if (i == 0 || i + 1 == s.size() || !alnum(s[i - 1]) || !alnum(s[i + 1])) {
      return std::nullopt;
    }
  }
  return out;
}

}  // namespace

std::optional<int64_t> parse_int(std::string_view s, int64_t base) {
  auto text = cleaned(s);
  if (!text || base < 0 || base > 36 || base == 1) return std::nullopt;
  std::string_view digits = *text;
  bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  if (digits.size() > 2 && digits[0] == '0') {
    char mark = static_cast<char>(digits[1] | 0x20);
    int64_t marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
    if (marked && (base == 0 || base == marked)) base = marked, digits.remove_prefix(2);
  }
  if (base == 0) base = 10;
  if (digits.empty() || digits[0] == '-' || digits[0] == '+') return std::nullopt;
  std::string number = (negative ? "-" : "") + std::string(digits);
  int64_t value = 0;
  auto [end, ec] = std::from_chars(number.data(), number.data() + number.size(), value, static_cast<int>(base));
  if (end != number.data() + number.size() || ec == std::errc::invalid_argument) return std::nullopt;
  if (ec == std::errc::result_out_of_range) fail("an integer of more than 64 bits");
  return value;
}

std::optional<double> parse_float(std::string_view s) {
  auto text = cleaned(s);
  if (!text || text->empty() || text->find_first_of("xXpP(") != std::string::npos) return std::nullopt;
  char* end = nullptr;
  double value = std::strtod(text->c_str(), &end);
  if (end != text->c_str() + text->size() || is_space(static_cast<unsigned char>((*text)[0]))) return std::nullopt;
  return value;
}

}  // namespace vllm::text::tmpl
