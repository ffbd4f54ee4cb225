#include "text/template/repr.h"

#include <charconv>
#include <cmath>

#include "text/template/utf8.h"

namespace vllm::text::tmpl {
namespace {

// Text that grows piece by piece, checked against the budget as it does.
class Sink {
 public:
  explicit Sink(Interpreter& in) : in_(in) {}
  void add(std::string_view s) {
    in_.budget().step();
    in_.budget().step_bytes(s.size());
    out_ += s;
    if (out_.size() > checked_) {
      in_.budget().check(out_.size() * 2);
      checked_ = out_.size() * 2;
    }
  }
  std::string take() { return std::move(out_); }

 private:
  Interpreter& in_;
  std::string out_;
  size_t checked_ = 4096;
};

void write(Interpreter& in, Sink& out, const Value& v);

void write_items(Interpreter& in, Sink& out, const std::vector<Value>& items) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i) out.add(", ");
    write(in, out, items[i]);
  }
}

void write_list(Interpreter& in, Sink& out, const List& list) {
  switch (list.kind) {
    case ListKind::kRange:
      out.add(list.step == 1 ? fmt::format("range({}, {})", list.start, list.stop)
                             : fmt::format("range({}, {}, {})", list.start, list.stop, list.step));
      return;
    case ListKind::kGenerator: out.add("<generator object>"); return;
    case ListKind::kTuple:
    case ListKind::kGroup:
      out.add("(");
      write_items(in, out, list.items);
      out.add(list.items.size() == 1 ? ",)" : ")");
      return;
    default: break;
  }
  bool view = list.kind != ListKind::kList;
  if (view)
    out.add(list.kind == ListKind::kKeys     ? "dict_keys("
            : list.kind == ListKind::kValues ? "dict_values("
                                             : "dict_items(");
  out.add("[");
  write_items(in, out, list.items);
  out.add(view ? "])" : "]");
}

void write(Interpreter& in, Sink& out, const Value& v) {
  if (v.is_none())
    out.add("None");
  else if (v.is_undefined())
    out.add("Undefined");
  else if (v.is_bool())
    out.add(v.boolean() ? "True" : "False");
  else if (v.is_int())
    out.add(std::to_string(v.integer()));
  else if (v.is_float())
    out.add(float_repr(v.number()));
  else if (v.is_markup())
    out.add("Markup(" + quoted(v.text()) + ")");
  else if (v.is_text())
    out.add(quoted(v.text()));
  else if (v.is_list())
    write_list(in, out, v.list());
  else if (v.is_object())
    out.add(v.object()->repr(in));
  else {
    out.add("{");
    bool first = true;
    for (const auto& [key, value] : v.dict().items) {
      if (!first) out.add(", ");
      first = false;
      write(in, out, key);
      out.add(": ");
      write(in, out, value);
    }
    out.add("}");
  }
}

}  // namespace

std::string to_repr(Interpreter& in, const Value& v) {
  Sink out(in);
  write(in, out, v);
  return out.take();
}

std::string quoted(std::string_view s) {
  char quote = s.find('\'') != std::string_view::npos && s.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  for (size_t pos = 0; pos < s.size();) {
    size_t start = pos;
    char32_t c = next_char(s, pos);
    if (c == static_cast<char32_t>(quote) || c == '\\')
      out += '\\', out += static_cast<char>(c);
    else if (c == '\n')
      out += "\\n";
    else if (c == '\r')
      out += "\\r";
    else if (c == '\t')
      out += "\\t";
    else if (is_printable(c))
      out += s.substr(start, pos - start);
    else if (c < 0x100)
      out += fmt::format("\\x{:02x}", static_cast<uint32_t>(c));
    else if (c < 0x10000)
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
    else
      out += fmt::format("\\U{:08x}", static_cast<uint32_t>(c));
  }
  out += quote;
  return out;
}

std::string float_repr(double d) {
  if (std::isnan(d)) return "nan";
  if (std::isinf(d)) return d > 0 ? "inf" : "-inf";
  char buffer[40];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, d, std::chars_format::scientific).ptr;
  std::string_view s(buffer, static_cast<size_t>(end - buffer));
  std::string out;
  if (s.front() == '-') out = "-", s.remove_prefix(1);
  size_t e = s.find('e');
  int exponent = std::atoi(std::string(s.substr(e + 1)).c_str());
  std::string digits(1, s[0]);
  if (e > 2) digits += s.substr(2, e - 2);
  if (exponent < -4 || exponent >= 16) {
    out += digits.substr(0, 1);
    if (digits.size() > 1) out += "." + digits.substr(1);
    return out + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return out + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  auto whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return out + digits + std::string(whole - digits.size(), '0') + ".0";
  return out + digits.substr(0, whole) + "." + digits.substr(whole);
}

}  // namespace vllm::text::tmpl
