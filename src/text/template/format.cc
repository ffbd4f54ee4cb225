#include "text/template/format.h"

#include <charconv>
#include <cmath>

#include "text/template/escape.h"
#include "text/template/repr.h"
#include "text/template/text_ops.h"
#include "text/template/utf8.h"

namespace vllm::text::tmpl {
namespace {

constexpr int64_t kMaxWidth = 1 << 20;  // of one formatted value; wider is never meant
constexpr int64_t kMaxPrecision = 1000;

struct Spec {
  std::string fill = " ";
  char align = '\0', sign = '-', type = '\0', group = '\0';
  bool alternate = false;
  int64_t width = 0, precision = -1;
};

int64_t read_number(std::string_view s, size_t& i, int64_t limit) {
  int64_t n = 0;
  for (; i < s.size() && s[i] >= '0' && s[i] <= '9'; ++i) {
    if ((n = n * 10 + (s[i] - '0')) > limit) fail("Too many decimal digits in format string");
  }
  return n;
}

Spec parse_spec(std::string_view s) {
  Spec spec;
  size_t i = 0;
  auto is_align = [](char c) { return c == '<' || c == '>' || c == '=' || c == '^'; };
  if (!s.empty()) {
    size_t after = 0;
    next_char(s, after);
    if (after < s.size() && is_align(s[after]))
      spec.fill = s.substr(0, after), spec.align = s[after], i = after + 1;
    else if (is_align(s[0]))
      spec.align = s[0], i = 1;
  }
  if (i < s.size() && (s[i] == '+' || s[i] == '-' || s[i] == ' ')) spec.sign = s[i++];
  if (i < s.size() && s[i] == '#') spec.alternate = true, ++i;
  if (i < s.size() && s[i] == '0' && !spec.align) spec.fill = "0", spec.align = '=', ++i;
  spec.width = read_number(s, i, kMaxWidth);
  if (i < s.size() && (s[i] == ',' || s[i] == '_')) spec.group = s[i++];
  if (i < s.size() && s[i] == '.') {
    ++i;
    spec.precision = read_number(s, i, kMaxPrecision);
  }
  if (i < s.size()) spec.type = s[i++];
  if (i < s.size()) fail("Invalid format specifier");
  return spec;
}

std::string pad(Interpreter& in, const Spec& spec, std::string sign, std::string body, char default_align) {
  char align = spec.align ? spec.align : default_align;
  if (align == '=') {
    return sign + pad_text(in, body, spec.width - static_cast<int64_t>(char_count(sign)), spec.fill, 'r');
  }
  return pad_text(in, sign + body, spec.width, spec.fill, align == '<' ? 'l' : align == '>' ? 'r' : 'c');
}

std::string grouped(const std::string& digits, char mark, size_t size) {
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i && (digits.size() - i) % size == 0) out += mark;
    out += digits[i];
  }
  return out;
}

std::string sign_text(bool negative, char mode) { return negative ? "-" : mode == '+' ? "+" : mode == ' ' ? " " : ""; }

std::string format_integer(Interpreter& in, int64_t value, const Spec& spec) {
  if (spec.precision >= 0) fail("Precision not allowed in integer format specifier");
  bool negative = value < 0;
  uint64_t magnitude = negative ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
  if (spec.type == 'c') {
    std::string out;
    append_char(out, static_cast<char32_t>(magnitude));
    return pad(in, spec, "", out, '<');
  }
  int base = spec.type == 'b' ? 2 : spec.type == 'o' ? 8 : spec.type == 'x' || spec.type == 'X' ? 16 : 10;
  char buffer[70];
  std::string digits(buffer, std::to_chars(buffer, buffer + sizeof buffer, magnitude, base).ptr);
  if (spec.type == 'X') digits = to_upper(digits);
  if (spec.group) digits = grouped(digits, spec.group, base == 10 ? 3 : 4);
  std::string sign = sign_text(negative, spec.sign);
  if (spec.alternate && base != 10) sign += std::string("0") + spec.type;
  return pad(in, spec, sign, digits, '>');
}

std::string format_float(Interpreter& in, double value, const Spec& spec) {
  bool negative = std::signbit(value) && !std::isnan(value);
  double magnitude = std::abs(value);
  int precision = spec.precision < 0 ? 6 : static_cast<int>(spec.precision);
  std::string digits;
  if (!std::isfinite(value)) {
    digits = std::isnan(value) ? "nan" : "inf";
  } else {
    switch (spec.type) {
      case 'f':
      case 'F': digits = fmt::format("{:.{}f}", magnitude, precision); break;
      case 'e': digits = fmt::format("{:.{}e}", magnitude, precision); break;
      case 'E': digits = fmt::format("{:.{}E}", magnitude, precision); break;
      case 'g':
      case 'n': digits = fmt::format("{:.{}g}", magnitude, precision); break;
      case 'G': digits = fmt::format("{:.{}G}", magnitude, precision); break;
      case '%': digits = fmt::format("{:.{}f}%", magnitude * 100, precision); break;
      default:
        digits = spec.precision < 0 ? float_repr(magnitude) : fmt::format("{:.{}g}", magnitude, std::max(precision, 1));
        if (spec.precision >= 0 && digits.find_first_of(".e") == std::string::npos) digits += ".0";
    }
  }
  if (spec.group) {
    size_t whole = digits.find_first_not_of("0123456789");
    whole = whole == std::string::npos ? digits.size() : whole;
    digits = grouped(digits.substr(0, whole), spec.group, 3) + digits.substr(whole);
  }
  return pad(in, spec, sign_text(negative, spec.sign), digits, '>');
}

// One %-directive's value.
std::string printf_value(Interpreter& in, char type, Spec& spec, const Value& v) {
  if (type == 's' || type == 'r' || type == 'a') {
    std::string s = type == 's' ? in.str(v) : in.repr(v);
    if (spec.precision >= 0) {
      auto offsets = char_offsets(s);
      if (static_cast<size_t>(spec.precision) + 1 < offsets.size())
        s.resize(offsets[static_cast<size_t>(spec.precision)]);
    }
    spec.fill = " ";
    if (spec.align == '=') spec.align = '>';
    return pad(in, spec, "", s, '>');
  }
  if (type == 'c') {
    if (v.is_text()) return pad(in, spec, "", std::string(v.text()), '>');
    spec.type = 'c';
    return format_integer(in, v.is_integral() ? v.integer() : 0, spec);
  }
  if (!v.is_number()) {
    if (v.is_undefined()) fail("{}", v.undefined_message());
    if (type == 'd' || type == 'i' || type == 'u')
      fail("%{} format: a real number is required, not {}", type, v.type_name());
    if (type == 'x' || type == 'X' || type == 'o')
      fail("%{} format: an integer is required, not {}", type, v.type_name());
    fail("must be real number, not {}", v.type_name());
  }
  if (type == 'd' || type == 'i' || type == 'u' || type == 'x' || type == 'X' || type == 'o') {
    spec.type = type == 'x' || type == 'X' || type == 'o' ? type : 'd';
    double d = v.number();
    if (v.is_float() && !(std::abs(d) < 9e18)) fail("cannot convert float to a 64-bit integer");
    int64_t n = v.is_float() ? static_cast<int64_t>(d) : v.integer();
    int64_t precision = std::exchange(spec.precision, -1);
    std::string out = format_integer(in, n, spec);
    if (precision > static_cast<int64_t>(out.size()) && n >= 0)
      out.insert(0, static_cast<size_t>(precision) - out.size(), '0');
    return out;
  }
  spec.type = type;
  return format_float(in, v.number(), spec);
}

}  // namespace

std::string format_spec(Interpreter& in, const Value& value, std::string_view text) {
  if (text.empty()) return in.str(value);
  Spec spec = parse_spec(text);
  bool float_type = spec.type && std::string_view("fFeEgG%n").find(spec.type) != std::string_view::npos;
  if (value.is_integral() && !(value.is_bool() && !spec.type)) {
    if (float_type) return format_float(in, value.number(), spec);
    if (spec.type && std::string_view("bcdoxX").find(spec.type) == std::string_view::npos) {
      fail("Unknown format code '{}' for object of type 'int'", spec.type);
    }
    return format_integer(in, value.integer(), spec);
  }
  if (value.is_float()) {
    if (spec.type && !float_type) fail("Unknown format code '{}' for object of type 'float'", spec.type);
    return format_float(in, value.number(), spec);
  }
  if (!value.is_text() && !value.is_bool())
    fail("unsupported format string passed to {}.__format__", value.type_name());
  if (spec.type && spec.type != 's') fail("Unknown format code '{}' for object of type 'str'", spec.type);
  if (spec.align == '=' && spec.fill != "0") fail("'=' alignment not allowed in string format specifier");
  if (spec.align == '=') spec.align = '<';
  std::string s = in.str(value);
  if (spec.precision >= 0) {
    auto offsets = char_offsets(s);
    if (static_cast<size_t>(spec.precision) + 1 < offsets.size())
      s.resize(offsets[static_cast<size_t>(spec.precision)]);
  }
  return pad(in, spec, "", s, '<');
}

Value printf_format(Interpreter& in, const Value& format, const Value& arguments) {
  std::string_view f = format.text();
  std::string out;
  const bool tuple = arguments.is_list() && arguments.list().is_tuple();
  size_t used = 0, count = tuple ? arguments.list().items.size() : 1;
  auto next = [&]() -> const Value& {
    if (used >= count) fail("not enough arguments for format string");
    return tuple ? arguments.list().items[used++] : (++used, arguments);
  };
  bool named = false;
  for (size_t i = 0; i < f.size(); ++i) {
    in.budget().check(out.size());
    if (f[i] != '%') {
      out += f[i];
      continue;
    }
    if (++i >= f.size()) fail("incomplete format");
    const Value* value = nullptr;
    if (f[i] == '(') {
      size_t end = f.find(')', i);
      if (end == std::string_view::npos) fail("incomplete format key");
      if (!arguments.is_dict()) fail("format requires a mapping");
      value = arguments.dict().find(f.substr(i + 1, end - i - 1));
      if (!value) fail("'{}'", f.substr(i + 1, end - i - 1));
      named = true;
      i = end + 1;
    }
    Spec spec;
    bool zero = false;
    for (; i < f.size() && std::string_view("#0- +").find(f[i]) != std::string_view::npos; ++i) {
      if (f[i] == '-')
        spec.align = '<';
      else if (f[i] == '0')
        zero = true;
      else if (f[i] == '#')
        spec.alternate = true;
      else if (spec.sign != '+')
        spec.sign = f[i];
    }
    auto star_or_number = [&](int64_t limit) {
      if (i >= f.size() || f[i] != '*') return read_number(f, i, limit);
      ++i;
      const Value& v = next();
      if (!v.is_integral() || std::abs(v.integer()) > limit) fail("* wants int");
      return v.integer();
    };
    spec.width = star_or_number(kMaxWidth);
    if (spec.width < 0) spec.align = '<', spec.width = -spec.width;
    if (zero && !spec.align) spec.align = '=', spec.fill = "0";
    if (i < f.size() && f[i] == '.') {
      ++i;
      spec.precision = std::max<int64_t>(star_or_number(kMaxPrecision), 0);
    }
    while (i < f.size() && (f[i] == 'l' || f[i] == 'h' || f[i] == 'L')) ++i;
    if (i >= f.size()) fail("incomplete format");
    if (f[i] == '%') {
      out += '%';
      continue;
    }
    if (std::string_view("srdiuxXofFeEgGac").find(f[i]) == std::string_view::npos) {
      fail("unsupported format character '{}' (0x{:x}) at index {}", f[i], static_cast<unsigned char>(f[i]), i);
    }
    const Value& v = value ? *value : next();
    std::string piece = printf_value(in, f[i], spec, v);
    if (format.is_markup() && !v.is_markup()) piece = escape_html(in, piece);
    out += piece;
  }
  if (used < count && !named && !(arguments.is_dict() && !tuple)) {
    fail("not all arguments converted during string formatting");
  }
  return in.text(std::move(out), format.is_markup());
}

}  // namespace vllm::text::tmpl
