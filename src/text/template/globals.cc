#include "text/template/globals.h"

#include <cmath>
#include <ctime>

#include "text/template/strftime.h"

namespace vllm::text::tmpl {
namespace {

constexpr int64_t kMaxRange = 100'000;  // jinja2.sandbox.MAX_RANGE

Value make_range(Interpreter& in, Args& args) {
  if (args.positional.empty()) fail("range expected at least 1 argument, got 0");
  auto bound = bind<3>("range", args, {"", "", ""}, 1);
  int64_t start = bound[1] ? bound.integer(0, 0) : 0;
  int64_t stop = bound[1] ? bound.integer(1, 0) : bound.integer(0, 0);
  int64_t step = bound[2] ? bound.integer(2, 1) : 1;
  for (const Value& v : args.positional) {
    if (v.is_none()) fail("'NoneType' object cannot be interpreted as an integer");
  }
  if (step == 0) fail("range() arg 3 must not be zero");
  __int128 span = step > 0 ? static_cast<__int128>(stop) - start : static_cast<__int128>(start) - stop;
  __int128 width = step > 0 ? static_cast<__int128>(step) : -static_cast<__int128>(step);
  __int128 count = span > 0 ? (span + width - 1) / width : 0;
  if (count > kMaxRange) fail("Range too big. The sandbox blocks ranges larger than MAX_RANGE ({}).", kMaxRange);
  std::vector<Value> items;
  for (int64_t i = 0; i < static_cast<int64_t>(count); ++i) items.emplace_back(start + i * step);
  Value value = in.list(std::move(items), ListKind::kRange);
  auto& list = const_cast<List&>(value.list());  // still being made: nobody else holds it
  list.start = start;
  list.stop = stop;
  list.step = step;
  return value;
}

// Pairs of dict(mapping_or_pairs, **keywords).
std::vector<std::pair<Value, Value>> dict_pairs(Interpreter& in, Args& args, std::string_view name) {
  std::vector<std::pair<Value, Value>> pairs;
  if (args.positional.size() > 1) fail("{} expected at most 1 argument, got {}", name, args.positional.size());
  if (!args.positional.empty()) {
    const Value& source = args.positional[0];
    if (source.is_dict()) {
      pairs = source.dict().items;
    } else {
      for (const Value& pair : in.items_of(source)) {
        auto items = in.items_of(pair);
        if (items.size() != 2) fail("dictionary update sequence element has length {}; 2 is required", items.size());
        pairs.emplace_back(items[0], items[1]);
      }
    }
  }
  for (auto& [key, value] : args.keywords) pairs.emplace_back(in.text(key), value);
  return pairs;
}

Value make_dict(Interpreter& in, Args& args) { return in.dict(dict_pairs(in, args, "dict")); }

Value make_namespace(Interpreter& in, Args& args) {
  auto ns = std::make_shared<Namespace>();
  Value value = in.object(ns);
  in.track(ns);
  for (auto& [key, item] : dict_pairs(in, args, "dict")) ns->set(in, key.is_text() ? key.text() : in.repr(key), item);
  return value;
}

Value make_cycler(Interpreter& in, Args& args) {
  if (args.positional.empty()) fail("at least one item has to be provided");
  return in.object(std::make_shared<Cycler>(args.positional));
}

Value make_joiner(Interpreter& in, Args& args) {
  auto bound = bind<1>("joiner", args, {"sep"});
  return in.object(std::make_shared<Joiner>(bound[0] ? *bound[0] : in.text(", ")));
}

Value raise_exception(Interpreter& in, Args& args) {
  auto bound = bind<1>("raise_exception", args, {"message"}, 1);
  TemplateFailure failure{in.str(*bound[0]), 0, true};
  throw failure;
}

Value strftime_now(Interpreter& in, Args& args) {
  auto bound = bind<1>("strftime_now", args, {"format"}, 1);
  if (!bound[0]->is_text()) fail("strftime() argument 1 must be str, not {}", bound[0]->type_name());
  return in.text(format_time(bound[0]->text(), in.now_s()));
}

struct GlobalRow {
  std::string_view name;
  Function::Fn fn;
};
constexpr GlobalRow kGlobals[] = {
    {"range", make_range},          {"dict", make_dict},     {"namespace", make_namespace},
    {"cycler", make_cycler},        {"joiner", make_joiner}, {"raise_exception", raise_exception},
    {"strftime_now", strftime_now},
};

}  // namespace

Function::Fn find_global(std::string_view name) {
  for (const GlobalRow& row : kGlobals) {
    if (row.name == name) return row.fn;
  }
  return nullptr;
}

}  // namespace vllm::text::tmpl
