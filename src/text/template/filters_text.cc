// Filters on text.
#include <algorithm>

#include "text/template/arithmetic.h"
#include "text/template/escape.h"
#include "text/template/filter_tables.h"
#include "text/template/format.h"
#include "text/template/text_ops.h"
#include "text/template/utf8.h"

namespace vllm::text::tmpl {
namespace {

template <std::string (*Map)(std::string_view)>
Value mapped(Interpreter& in, const Value& v, Args& args) {
  bind<0>("filter", args, {});
  std::string s = in.str(v);
  in.budget().step_bytes(s.size() * 4);
  in.budget().check(s.size() * 3);
  return in.text(Map(s), v.is_markup());
}

// Upper case after blanks and opening brackets, lower case elsewhere.
std::string title_words(std::string_view s) {
  std::string out;
  auto separates = [](char32_t c) { return c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || is_space(c); };
  for (size_t pos = 0; pos < s.size();) {
    size_t start = pos;
    char32_t c = next_char(s, pos);
    if (separates(c)) {
      out += s.substr(start, pos - start);
      continue;
    }
    out += to_upper(s.substr(start, pos - start));
    size_t word = pos;
    while (pos < s.size()) {
      size_t next = pos;
      if (separates(next_char(s, next))) break;
      pos = next;
    }
    out += to_lower(s.substr(word, pos - word));
  }
  return out;
}

Value trim(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<1>("trim", args, {"chars"});
  std::string s = in.str(v);
  if (bound.given(0) && !bound[0]->is_text()) fail("strip arg must be None or str");
  auto chars = bound.given(0) ? std::optional(bound[0]->text()) : std::nullopt;
  return in.text(std::string(strip_text(in, s, chars, true, true)), v.is_markup());
}

Value replace(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<3>("replace", args, {"old", "new", "count"}, 2);
  return in.text(replace_text(in, in.str(v), in.str(*bound[0]), in.str(*bound[1]), bound.integer(2, -1)));
}

Value indent(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<3>("indent", args, {"width", "first", "blank"});
  if (v.is_undefined()) fail("{}", v.undefined_message());
  if (!v.is_text()) fail("unsupported operand type(s) for +=: '{}' and 'str'", v.type_name());
  std::string prefix;
  if (bound[0] && bound[0]->is_text()) {
    prefix = bound[0]->text();
  } else {
    int64_t width = bound.integer(0, 4);
    if (width > (1 << 20)) fail("an indent of more than {} characters", 1 << 20);
    prefix.assign(static_cast<size_t>(std::max<int64_t>(width, 0)), ' ');
  }
  std::string s = std::string(v.text()) + "\n";
  auto lines = split_lines(s, false);
  in.budget().check(s.size() + lines.size() * (prefix.size() + sizeof(std::string_view)));
  in.budget().step(static_cast<int64_t>(lines.size()));
  std::string out = bound.flag(1) ? prefix : "";
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i) out += "\n";
    if (i && (bound.flag(2) || !lines[i].empty())) out += prefix;
    out += lines[i];
  }
  return in.text(std::move(out), v.is_markup());
}

Value truncate(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<4>("truncate", args, {"length", "killwords", "end", "leeway"});
  int64_t length = bound.integer(0, 255), leeway = bound.integer(3, 5);
  std::string end = bound[2] ? in.str(*bound[2]) : "...";
  auto end_length = static_cast<int64_t>(char_count(end));
  if (length < end_length) fail("expected length >= {}, got {}", end_length, length);
  if (leeway < 0) fail("expected leeway >= 0, got {}", leeway);
  if (in.length_of(v) <= length + leeway) return v;
  if (!v.is_text()) fail("truncate wants a str, not {}", v.type_name());
  auto offsets = char_offsets(v.text());
  std::string_view cut = v.text().substr(0, offsets[static_cast<size_t>(length - end_length)]);
  if (!bound.flag(1)) cut = cut.substr(0, std::min(cut.rfind(' '), cut.size()));
  return in.text(std::string(cut) + end);
}

Value center(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<1>("center", args, {"width"});
  return in.text(pad_text(in, in.str(v), bound.integer(0, 80), " ", 'c'), v.is_markup());
}

Value wordcount(Interpreter& in, const Value& v, Args& args) {
  std::string s = in.str(v);
  in.budget().step_bytes(s.size());
  int64_t words = 0;
  bool inside = false;
  for (size_t pos = 0; pos < s.size();) {
    bool word = is_word(next_char(s, pos));
    words += word && !inside;
    inside = word;
  }
  return Value(words);
}

Value format(Interpreter& in, const Value& v, Args& args) {
  if (!args.positional.empty() && !args.keywords.empty())
    fail("can't handle positional and keyword arguments at the same time");
  Value text = v.is_text() ? v : in.text(in.str(v));
  if (args.keywords.empty()) return printf_format(in, text, in.list(std::move(args.positional), ListKind::kTuple));
  std::vector<std::pair<Value, Value>> pairs;
  for (auto& [key, value] : args.keywords) pairs.emplace_back(in.text(key), value);
  return printf_format(in, text, in.dict(std::move(pairs)));
}

Value string(Interpreter& in, const Value& v, Args& args) { return v.is_text() ? v : in.text(in.str(v)); }
Value safe(Interpreter& in, const Value& v, Args& args) { return in.text(in.str(v), true); }
Value escape(Interpreter& in, const Value& v, Args& args) {
  return v.is_markup() ? v : in.text(escape_html(in, in.str(v)), true);
}
Value force_escape(Interpreter& in, const Value& v, Args& args) { return in.text(escape_html(in, in.str(v)), true); }

std::string quote_url(std::string_view s, bool keep_slash, bool plus) {
  std::string out;
  for (char c : s) {
    auto u = static_cast<unsigned char>(c);
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 std::string_view("_.-~").find(c) != std::string_view::npos || (c == '/' && keep_slash);
    if (plain)
      out += c;
    else if (c == ' ' && plus)
      out += '+';
    else
      out += fmt::format("%{:02X}", u);
  }
  return out;
}

Value urlencode(Interpreter& in, const Value& v, Args& args) {
  bind<0>("urlencode", args, {});
  auto quoted = [&](const Value& part, bool for_query) {
    std::string s = in.str(part);
    in.budget().check(s.size() * 3);
    return quote_url(s, !for_query, for_query);
  };
  if (!v.is_dict() && !v.is_list()) return in.text(quoted(v, false));
  std::vector<std::string> parts;
  for (const Value& pair : v.is_dict() ? std::vector<Value>() : in.items_of(v)) {
    auto items = in.items_of(pair);
    if (items.size() != 2) fail("not enough values to unpack (expected 2, got {})", items.size());
    parts.push_back(quoted(items[0], true) + "=" + quoted(items[1], true));
  }
  if (v.is_dict()) {
    for (const auto& [key, value] : v.dict().items) parts.push_back(quoted(key, true) + "=" + quoted(value, true));
  }
  return in.text(join_texts(in, "&", parts));
}

constexpr FilterRow kRows[] = {
    {"upper", mapped<to_upper>},
    {"lower", mapped<to_lower>},
    {"capitalize", mapped<to_capitalized>},
    {"title", mapped<title_words>},
    {"trim", trim},
    {"replace", replace},
    {"indent", indent},
    {"truncate", truncate},
    {"center", center},
    {"wordcount", wordcount},
    {"format", format},
    {"string", string},
    {"safe", safe},
    {"escape", escape},
    {"e", escape},
    {"forceescape", force_escape},
    {"urlencode", urlencode},
};

}  // namespace

std::span<const FilterRow> text_filters() { return kRows; }

}  // namespace vllm::text::tmpl
