// Filters on sequences: picking, mapping, joining.
#include <algorithm>

#include "text/template/arithmetic.h"
#include "text/template/attrgetter.h"
#include "text/template/filter_tables.h"
#include "text/template/text_ops.h"
#include "text/template/utf8.h"

namespace vllm::text::tmpl {
namespace {

Value first(Interpreter& in, const Value& v, Args& args) {
  bind<0>("first", args, {});
  Value item;
  return Iteration(in, v).next(item) ? item : Value::undefined("No first item, sequence was empty.");
}

Value last(Interpreter& in, const Value& v, Args& args) {
  bind<0>("last", args, {});
  if (v.is_list() && !v.list().has_length()) fail("'generator' object is not reversible");
  auto empty = [] { return Value::undefined("No last item, sequence was empty."); };
  if (v.is_list()) return v.list().items.empty() ? empty() : v.list().items.back();
  if (v.is_dict()) return v.dict().items.empty() ? empty() : v.dict().items.back().first;
  auto items = in.items_of(v);
  return items.empty() ? empty() : items.back();
}

Value length(Interpreter& in, const Value& v, Args& args) {
  bind<0>("length", args, {});
  return Value(in.length_of(v));
}

Value list(Interpreter& in, const Value& v, Args& args) {
  bind<0>("list", args, {});
  return in.list(in.items_of(v));
}

Value items(Interpreter& in, const Value& v, Args& args) {
  bind<0>("items", args, {});
  if (!v.is_dict() && !v.is_undefined()) fail("Can only get item pairs from a mapping.");
  std::vector<Value> pairs;
  if (v.is_dict()) {
    for (const auto& [key, value] : v.dict().items) pairs.push_back(in.tuple(key, value));
  }
  return in.generator(std::move(pairs));
}

Value join(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<2>("join", args, {"d", "attribute"});
  std::optional<AttrGetter> getter;
  if (bound.given(1)) getter.emplace(in, *bound[1]);
  std::vector<std::string> parts;
  for (const Value& item : in.items_of(v)) {
    parts.push_back(in.str(getter ? (*getter)(in, item) : item));
    in.budget().check(parts.size() * sizeof(std::string) + parts.back().size());
  }
  return in.text(join_texts(in, bound[0] ? in.str(*bound[0]) : "", parts));
}

Value reverse(Interpreter& in, const Value& v, Args& args) {
  bind<0>("reverse", args, {});
  if (v.is_text()) {
    std::string out;
    auto offsets = char_offsets(v.text());
    in.budget().check(offsets.size() * sizeof(size_t));
    for (size_t i = offsets.size() - 1; i-- > 0;) out += v.text().substr(offsets[i], offsets[i + 1] - offsets[i]);
    return in.text(std::move(out), v.is_markup());
  }
  if (!v.is_list() && !v.is_dict() && !v.is_undefined()) fail("argument must be iterable");
  bool consumed = v.is_list() && !v.list().has_length();
  auto all = in.items_of(v);
  std::reverse(all.begin(), all.end());
  return consumed ? in.list(std::move(all)) : in.generator(std::move(all));
}

Value map(Interpreter& in, const Value& v, Args& args) {
  std::vector<Value> out;
  if (!v.truthy()) return in.generator(std::move(out));
  auto attribute =
      std::find_if(args.keywords.begin(), args.keywords.end(), [](const auto& kw) { return kw.first == "attribute"; });
  if (args.positional.empty() && attribute != args.keywords.end()) {
    auto bound = bind<2>("map", args, {"attribute", "default"});
    AttrGetter getter(in, *bound[0]);
    for (const Value& item : in.items_of(v)) out.push_back(getter(in, item, bound.given(1) ? bound[1] : nullptr));
    return in.generator(std::move(out));
  }
  if (args.positional.empty()) fail("map requires a filter argument");
  Value name = args.positional[0];
  if (!name.is_text()) fail("No filter named {}.", in.repr(name));
  Args rest{{args.positional.begin() + 1, args.positional.end()}, args.keywords};
  for (const Value& item : in.items_of(v)) {
    Args copy = rest;
    out.push_back(in.call_filter(name.text(), item, copy));
  }
  return in.generator(std::move(out));
}

template <bool Keep, bool ByAttribute>
Value select(Interpreter& in, const Value& v, Args& args) {
  std::vector<Value> out;
  if (!v.truthy()) return in.generator(std::move(out));
  size_t at = 0;
  AttrGetter getter(in, Value());
  if (ByAttribute) {
    if (args.positional.empty()) fail("Missing parameter for attribute name");
    getter = AttrGetter(in, args.positional[at++]);
  }
  std::optional<Value> test;
  if (args.positional.size() > at) test = args.positional[at++];
  if (test && !test->is_text()) fail("No test named {}.", in.repr(*test));
  Args rest;
  if (test) rest = {{args.positional.begin() + static_cast<ptrdiff_t>(at), args.positional.end()}, args.keywords};
  for (const Value& item : in.items_of(v)) {
    Args copy = rest;
    Value subject = getter(in, item);
    if ((test ? in.call_test(test->text(), subject, copy) : subject.truthy()) == Keep) out.push_back(item);
  }
  return in.generator(std::move(out));
}

Value batch(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<2>("batch", args, {"linecount", "fill_with"}, 1);
  auto size = static_cast<size_t>(std::max<int64_t>(bound.integer(0, 0), 0));
  std::vector<Value> out, row;
  for (const Value& item : in.items_of(v)) {
    if (row.size() == size) out.push_back(in.list(std::exchange(row, {})));
    row.push_back(item);
  }
  if (!row.empty()) {
    if (bound.given(1) && row.size() < size) {
      in.budget().check(size > SIZE_MAX / 1024 ? SIZE_MAX / 2 : size * sizeof(Value));
      row.resize(size, *bound[1]);
    }
    out.push_back(in.list(std::move(row)));
  }
  return in.generator(std::move(out));
}

Value slice(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<2>("slice", args, {"slices", "fill_with"}, 1);
  int64_t slices = bound.integer(0, 0);
  auto all = in.items_of(v);
  auto n = static_cast<int64_t>(all.size());
  if (slices == 0) fail("integer division or modulo by zero");
  if (slices > 1'000'000) fail("more than a million slices");
  std::vector<Value> out;
  int64_t offset = 0;
  for (int64_t i = 0; i < slices; ++i) {
    int64_t start = offset + i * (n / slices);
    if (i < n % slices) ++offset;
    int64_t end = offset + (i + 1) * (n / slices);
    std::vector<Value> row(all.begin() + start, all.begin() + end);
    if (bound.given(1) && i >= n % slices) row.push_back(*bound[1]);
    out.push_back(in.list(std::move(row)));
  }
  return in.generator(std::move(out));
}

Value sum(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<2>("sum", args, {"attribute", "start"});
  AttrGetter getter(in, bound[0] ? *bound[0] : Value());
  Value total = bound[1] ? *bound[1] : Value(int64_t{0});
  if (total.is_text()) fail("sum() can't sum strings [use ''.join(seq) instead]");
  for (const Value& item : in.items_of(v)) total = arithmetic(in, Op::kAdd, total, getter(in, item));
  return total;
}

constexpr FilterRow kRows[] = {
    {"first", first},
    {"last", last},
    {"length", length},
    {"count", length},
    {"list", list},
    {"items", items},
    {"join", join},
    {"reverse", reverse},
    {"map", map},
    {"select", select<true, false>},
    {"reject", select<false, false>},
    {"selectattr", select<true, true>},
    {"rejectattr", select<false, true>},
    {"batch", batch},
    {"slice", slice},
    {"sum", sum},
};

}  // namespace

std::span<const FilterRow> sequence_filters() { return kRows; }

}  // namespace vllm::text::tmpl
