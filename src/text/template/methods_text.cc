// Methods of str.
#include <algorithm>

#include "text/template/escape.h"
#include "text/template/format.h"
#include "text/template/methods.h"
#include "text/template/text_ops.h"
#include "text/template/utf8.h"

namespace vllm::text::tmpl {
namespace {

std::string_view text_arg(const Value& v, std::string_view method) {
  if (!v.is_text()) fail("{}() argument must be str, not {}", method, v.type_name());
  return v.text();
}

// A result of the same kind as the string it came from.
Value like(Interpreter& in, const Value& self, std::string s) { return in.text(std::move(s), self.is_markup()); }

template <std::string (*Map)(std::string_view)>
Value mapped(Interpreter& in, const Value& self, Args& args) {
  bind<0>("str method", args, {});
  in.budget().step_bytes(self.text().size() * 4);
  in.budget().check(self.text().size() * 3);
  return like(in, self, Map(self.text()));
}

template <bool Left, bool Right>
Value strip(Interpreter& in, const Value& self, Args& args) {
  auto bound = bind<1>("strip", args, {""});
  if (bound.given(0) && !bound[0]->is_text()) fail("strip arg must be None or str");
  auto chars = bound.given(0) ? std::optional(bound[0]->text()) : std::nullopt;
  return like(in, self, std::string(strip_text(in, self.text(), chars, Left, Right)));
}

Value pieces(Interpreter& in, const Value& self, const std::vector<std::string_view>& parts) {
  in.budget().check(parts.size() * (sizeof(Value) + sizeof(Text)));
  std::vector<Value> items;
  items.reserve(parts.size());
  for (auto part : parts) items.push_back(like(in, self, std::string(part)));
  return in.list(std::move(items));
}

// Split at runs of whitespace, from the left.
std::vector<std::string_view> split_words(std::string_view s, int64_t limit) {
  std::vector<std::string_view> parts;
  s = strip_left(s);
  while (!s.empty()) {
    if (limit-- == 0) {
      parts.push_back(s);  // what is left, trailing blanks included, as CPython does
      break;
    }
    size_t end = 0;
    for (size_t pos = 0; pos < s.size(); end = pos) {
      if (is_space(next_char(s, pos))) break;
    }
    parts.push_back(s.substr(0, end));
    s = strip_left(s.substr(end));
  }
  return parts;
}

std::vector<std::string_view> rsplit_words(std::string_view s, int64_t limit) {
  std::vector<std::string_view> parts;
  s = strip_right(s);
  while (!s.empty()) {
    if (limit-- == 0) {
      parts.push_back(s);
      break;
    }
    size_t start = s.size();
    while (start > 0) {
      size_t pos = start - 1;
      while (pos > 0 && start - pos < 4 && (static_cast<unsigned char>(s[pos]) & 0xC0) == 0x80) --pos;
      size_t next = pos;
      if (is_space(next_char(s, next))) break;
      start = pos;
    }
    parts.push_back(s.substr(start));
    s = strip_right(s.substr(0, start));
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

template <bool FromRight>
Value split(Interpreter& in, const Value& self, Args& args) {
  auto bound = bind<2>("split", args, {"sep", "maxsplit"});
  int64_t limit = bound.integer(1, -1);
  std::string_view s = self.text();
  in.budget().step_bytes(s.size());
  in.budget().check(s.size() * 2 * sizeof(std::string_view));
  if (!bound.given(0)) return pieces(in, self, FromRight ? rsplit_words(s, limit) : split_words(s, limit));
  if (!bound[0]->is_text()) fail("must be str or None, not {}", bound[0]->type_name());
  std::string_view sep = bound[0]->text();
  if (sep.empty()) fail("empty separator");
  std::vector<std::string_view> parts;
  if (FromRight) {
    in.budget().step(static_cast<int64_t>(s.size() * std::min<size_t>(sep.size(), 64) / 64));
    for (size_t hit; limit != 0 && (hit = s.rfind(sep)) != std::string_view::npos; --limit) {
      parts.push_back(s.substr(hit + sep.size()));
      s = s.substr(0, hit);
    }
    parts.push_back(s);
    std::reverse(parts.begin(), parts.end());
    return pieces(in, self, parts);
  }
  size_t at = 0;
  for (size_t hit; limit != 0 && (hit = find_text(s, sep, at)) != std::string_view::npos; --limit) {
    parts.push_back(s.substr(at, hit - at));
    at = hit + sep.size();
  }
  parts.push_back(s.substr(at));
  return pieces(in, self, parts);
}

Value splitlines(Interpreter& in, const Value& self, Args& args) {
  auto bound = bind<1>("splitlines", args, {"keepends"});
  in.budget().step_bytes(self.text().size());
  in.budget().check(self.text().size() * sizeof(std::string_view));
  return pieces(in, self, split_lines(self.text(), bound.flag(0)));
}

template <bool FromRight>
Value partition(Interpreter& in, const Value& self, Args& args) {
  auto bound = bind<1>("partition", args, {""}, 1);
  std::string_view s = self.text(), sep = text_arg(*bound[0], "partition");
  if (sep.empty()) fail("empty separator");
  size_t hit = FromRight ? s.rfind(sep) : find_text(s, sep);
  std::vector<Value> items;
  if (hit == std::string_view::npos) {
    items = {in.text(""), in.text("")};
    items.insert(FromRight ? items.end() : items.begin(), self);
  } else {
    items = {like(in, self, std::string(s.substr(0, hit))), like(in, self, std::string(sep)),
             like(in, self, std::string(s.substr(hit + sep.size())))};
  }
  return in.list(std::move(items), ListKind::kTuple);
}

// The part of a string between two character positions, as optional arguments `first` and `first + 1` give them.
struct Window {
  std::string_view s;
  int64_t offset = 0;  // of its start, in characters
  bool empty_range = false;
};
template <size_t N>
Window window(std::string_view s, const Bound<N>& bound, size_t first) {
  if (!bound.given(first) && !bound.given(first + 1)) return {s, 0, false};
  auto n = static_cast<int64_t>(char_count(s));
  auto clamp = [&](int64_t i) { return i < 0 ? std::max<int64_t>(i + n, 0) : i; };
  int64_t from = clamp(bound.integer(first, 0)), to = std::min(clamp(bound.integer(first + 1, n)), n);
  if (from > to) return {{}, from, true};
  auto offsets = char_offsets(s);
  auto begin = offsets[static_cast<size_t>(from)];
  return {s.substr(begin, offsets[static_cast<size_t>(to)] - begin), from, false};
}

template <bool AtEnd>
Value starts_or_ends(Interpreter& in, const Value& self, Args& args) {
  auto bound = bind<3>(AtEnd ? "endswith" : "startswith", args, {"", "", ""}, 1);
  Window part = window(self.text(), bound, 1);
  auto matches = [&](const Value& v) {
    if (!v.is_text()) {
      fail("{} first arg must be str or a tuple of str, not {}", AtEnd ? "endswith" : "startswith",
           v.is_undefined() ? "Undefined" : v.type_name());
    }
    return !part.empty_range && (AtEnd ? part.s.ends_with(v.text()) : part.s.starts_with(v.text()));
  };
  if (!bound[0]->is_list() || !bound[0]->list().is_tuple()) return Value(matches(*bound[0]));
  const auto& options = bound[0]->list().items;
  return Value(std::any_of(options.begin(), options.end(), matches));
}

template <bool FromRight, bool MustExist>
Value find(Interpreter& in, const Value& self, Args& args) {
  auto bound = bind<3>("find", args, {"", "", ""}, 1);
  Window part = window(self.text(), bound, 1);
  std::string_view needle = text_arg(*bound[0], "find");
  in.budget().step_bytes(part.s.size() * (FromRight ? std::min<size_t>(needle.size() + 1, 64) : 1));
  size_t hit = part.empty_range ? std::string_view::npos : FromRight ? part.s.rfind(needle) : find_text(part.s, needle);
  if (hit == std::string_view::npos) {
    if (MustExist) fail("substring not found");
    return Value(int64_t{-1});
  }
  return Value(part.offset + static_cast<int64_t>(char_count(part.s.substr(0, hit))));
}

Value count(Interpreter& in, const Value& self, Args& args) {
  auto bound = bind<3>("count", args, {"", "", ""}, 1);
  Window part = window(self.text(), bound, 1);
  std::string_view needle = text_arg(*bound[0], "count");
  in.budget().step_bytes(part.s.size());
  if (part.empty_range) return Value(int64_t{0});
  if (needle.empty()) return Value(static_cast<int64_t>(char_count(part.s)) + 1);
  int64_t n = 0;
  for (size_t at = 0; (at = find_text(part.s, needle, at)) != std::string_view::npos; at += needle.size()) ++n;
  return Value(n);
}

Value replace(Interpreter& in, const Value& self, Args& args) {
  auto bound = bind<3>("replace", args, {"", "", "count"}, 2);
  std::string to(text_arg(*bound[1], "replace"));
  if (self.is_markup() && !bound[1]->is_markup()) to = escape_html(in, to);
  return like(in, self, replace_text(in, self.text(), text_arg(*bound[0], "replace"), to, bound.integer(2, -1)));
}

Value join(Interpreter& in, const Value& self, Args& args) {
  auto bound = bind<1>("join", args, {""}, 1);
  std::vector<std::string> parts;
  for (const Value& v : in.items_of(*bound[0])) {
    if (self.is_markup()) {
      parts.push_back(v.is_markup() ? std::string(v.text()) : escape_html(in, in.str(v)));
    } else {
      if (!v.is_text()) fail("sequence item {}: expected str instance, {} found", parts.size(), v.type_name());
      parts.emplace_back(v.text());
    }
  }
  return like(in, self, join_texts(in, self.text(), parts));
}

template <bool Suffix>
Value remove_affix(Interpreter& in, const Value& self, Args& args) {
  auto bound = bind<1>("removeprefix", args, {""}, 1);
  std::string_view s = self.text(), affix = text_arg(*bound[0], Suffix ? "removesuffix" : "removeprefix");
  if (Suffix && !affix.empty() && s.ends_with(affix)) s.remove_suffix(affix.size());
  if (!Suffix && s.starts_with(affix)) s.remove_prefix(affix.size());
  return like(in, self, std::string(s));
}

template <char Where>
Value pad(Interpreter& in, const Value& self, Args& args) {
  auto bound = bind<2>("center", args, {"", ""}, 1);
  return like(in, self,
              pad_text(in, self.text(), bound.integer(0, 0), bound[1] ? text_arg(*bound[1], "center") : " ", Where));
}

Value zfill(Interpreter& in, const Value& self, Args& args) {
  auto bound = bind<1>("zfill", args, {""}, 1);
  std::string_view s = self.text();
  std::string sign;
  if (!s.empty() && (s[0] == '+' || s[0] == '-')) sign = s[0], s.remove_prefix(1);
  return like(in, self, sign + pad_text(in, s, bound.integer(0, 0) - static_cast<int64_t>(sign.size()), "0", 'r'));
}

Value expandtabs(Interpreter& in, const Value& self, Args& args) {
  auto bound = bind<1>("expandtabs", args, {"tabsize"});
  int64_t size = std::clamp<int64_t>(bound.integer(0, 8), 0, 1000);
  std::string out;
  int64_t column = 0;
  std::string_view s = self.text();
  for (size_t pos = 0; pos < s.size();) {
    size_t start = pos;
    char32_t c = next_char(s, pos);
    if (c == '\t') {
      int64_t n = size ? size - column % size : 0;
      in.budget().check(out.size() + static_cast<size_t>(n));
      out.append(static_cast<size_t>(n), ' ');
      column += n;
    } else {
      out += s.substr(start, pos - start);
      column = c == '\n' || c == '\r' ? 0 : column + 1;
    }
  }
  return like(in, self, std::move(out));
}

template <bool (*Test)(char32_t)>
Value all_chars(Interpreter& in, const Value& self, Args& args) {
  std::string_view s = self.text();
  in.budget().step_bytes(s.size());
  for (size_t pos = 0; pos < s.size();) {
    if (!Test(next_char(s, pos))) return Value(false);
  }
  return Value(!s.empty());
}
bool alnum(char32_t c) { return is_alpha(c) || is_numeric(c); }

Value is_all_upper(Interpreter& in, const Value& self, Args& args) { return Value(has_case(self.text(), true)); }
Value is_all_lower(Interpreter& in, const Value& self, Args& args) { return Value(has_case(self.text(), false)); }
Value is_titled(Interpreter& in, const Value& self, Args& args) {
  bool cased = false, previous = false;
  std::string_view s = self.text();
  for (size_t pos = 0; pos < s.size();) {
    char32_t c = next_char(s, pos);
    bool upper = is_upper(c) || is_title(c), lower = is_lower(c);
    if ((upper && previous) || (lower && !previous)) return Value(false);
    previous = upper || lower;
    cased = cased || previous;
  }
  return Value(cased);
}
Value is_ascii_text(Interpreter& in, const Value& self, Args& args) { return Value(is_ascii(self.text())); }
Value is_printable_text(Interpreter& in, const Value& self, Args& args) {
  if (self.text().empty()) return Value(true);
  return all_chars<is_printable>(in, self, args);
}

Value format(Interpreter& in, const Value& self, Args& args) {
  return like(in, self, format_text(in, self.text(), args));
}
Value format_map(Interpreter& in, const Value& self, Args& args) {
  auto bound = bind<1>("format_map", args, {""}, 1);
  if (!bound[0]->is_dict()) fail("format_map() takes a mapping");
  Args named;
  for (const auto& [key, value] : bound[0]->dict().items) named.keywords.emplace_back(in.str(key), value);
  return like(in, self, format_text(in, self.text(), named));
}

constexpr MethodRow kTextMethods[] = {
    {"upper", mapped<to_upper>},
    {"lower", mapped<to_lower>},
    {"casefold", mapped<to_lower>},
    {"title", mapped<to_title>},
    {"capitalize", mapped<to_capitalized>},
    {"swapcase", mapped<swap_case>},
    {"strip", strip<true, true>},
    {"lstrip", strip<true, false>},
    {"rstrip", strip<false, true>},
    {"split", split<false>},
    {"rsplit", split<true>},
    {"splitlines", splitlines},
    {"partition", partition<false>},
    {"rpartition", partition<true>},
    {"startswith", starts_or_ends<false>},
    {"endswith", starts_or_ends<true>},
    {"find", find<false, false>},
    {"rfind", find<true, false>},
    {"index", find<false, true>},
    {"rindex", find<true, true>},
    {"count", count},
    {"replace", replace},
    {"join", join},
    {"removeprefix", remove_affix<false>},
    {"removesuffix", remove_affix<true>},
    {"center", pad<'c'>},
    {"ljust", pad<'l'>},
    {"rjust", pad<'r'>},
    {"zfill", zfill},
    {"expandtabs", expandtabs},
    {"format", format},
    {"format_map", format_map},
    {"isdigit", all_chars<is_digit>},
    {"isdecimal", all_chars<is_decimal>},
    {"isnumeric", all_chars<is_numeric>},
    {"isalpha", all_chars<is_alpha>},
    {"isalnum", all_chars<alnum>},
    {"isspace", all_chars<is_space>},
    {"isupper", is_all_upper},
    {"islower", is_all_lower},
    {"istitle", is_titled},
    {"isascii", is_ascii_text},
    {"isprintable", is_printable_text},
};

}  // namespace

bool has_case(std::string_view s, bool upper) {
  bool cased = false;
  for (size_t pos = 0; pos < s.size();) {
    char32_t c = next_char(s, pos);
    if (is_title(c) || (upper ? is_lower(c) : is_upper(c))) return false;
    cased = cased || (upper ? is_upper(c) : is_lower(c));
  }
  return cased;
}

MethodFn find_text_method(std::string_view name) {
  for (const MethodRow& row : kTextMethods) {
    if (row.name == name) return row.fn;
  }
  return nullptr;
}

}  // namespace vllm::text::tmpl
