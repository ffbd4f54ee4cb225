// Filters that compare items: sort, unique, groupby, min, max, dictsort.
#include "text/template/attrgetter.h"
#include "text/template/compare.h"
#include "text/template/filter_tables.h"

namespace vllm::text::tmpl {
namespace {

// Stable, as sorted(): equal keys keep their order, in reverse too.
std::vector<size_t> sorted_positions(Interpreter& in, const std::vector<Value>& keys, bool reverse) {
  return stable_order(keys.size(), [&](size_t a, size_t b) {
    return reverse ? ordered(in.budget(), Order::kLess, keys[b], keys[a])
                   : ordered(in.budget(), Order::kLess, keys[a], keys[b]);
  });
}

Value sort(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<3>("sort", args, {"reverse", "case_sensitive", "attribute"});
  std::vector<AttrGetter> getters;  // "a,b" sorts by several attributes
  if (bound.given(2) && bound[2]->is_text()) {
    std::string_view rest = bound[2]->text();
    for (size_t comma; (comma = rest.find(',')) != std::string_view::npos; rest.remove_prefix(comma + 1)) {
      getters.emplace_back(in, in.text(std::string(rest.substr(0, comma))));
    }
    getters.emplace_back(in, in.text(std::string(rest)));
  } else {
    getters.emplace_back(in, bound[2] ? *bound[2] : Value());
  }
  auto items = in.items_of(v);
  std::vector<Value> keys, out;
  for (const Value& item : items) {
    std::vector<Value> key;
    for (const auto& getter : getters) key.push_back(fold_case(in, getter(in, item), bound.flag(1)));
    keys.push_back(in.list(std::move(key)));
  }
  for (size_t i : sorted_positions(in, keys, bound.flag(0))) out.push_back(items[i]);
  return in.list(std::move(out));
}

Value unique(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<2>("unique", args, {"case_sensitive", "attribute"});
  AttrGetter getter(in, bound[1] ? *bound[1] : Value());
  std::vector<Value> out;
  Dict seen;
  for (const Value& item : in.items_of(v)) {
    Value key = fold_case(in, getter(in, item), bound.flag(0));
    if (seen.find(key)) continue;
    seen.put(key, Value());
    out.push_back(item);
  }
  return in.generator(std::move(out));
}

template <bool Max>
Value extreme(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<2>(Max ? "max" : "min", args, {"case_sensitive", "attribute"});
  AttrGetter getter(in, bound[1] ? *bound[1] : Value());
  auto items = in.items_of(v);
  if (items.empty()) return Value::undefined("No aggregated item, sequence was empty.");
  size_t best = 0;
  Value best_key = fold_case(in, getter(in, items[0]), bound.flag(0));
  for (size_t i = 1; i < items.size(); ++i) {
    Value key = fold_case(in, getter(in, items[i]), bound.flag(0));
    if (!ordered(in.budget(), Max ? Order::kGreater : Order::kLess, key, best_key)) continue;
    best = i;
    best_key = std::move(key);
  }
  return items[best];
}

Value dictsort(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<3>("dictsort", args, {"case_sensitive", "by", "reverse"});
  std::string by = bound[1] ? in.str(*bound[1]) : "key";
  if (by != "key" && by != "value") fail("You can only sort by either \"key\" or \"value\"");
  if (v.is_undefined()) fail("{}", v.undefined_message());
  if (!v.is_dict()) fail("'{}' object has no attribute 'items'", v.type_name());
  const auto& pairs = v.dict().items;
  std::vector<Value> keys, out;
  for (const auto& [key, value] : pairs) keys.push_back(fold_case(in, by == "key" ? key : value, bound.flag(0)));
  for (size_t i : sorted_positions(in, keys, bound.flag(2))) out.push_back(in.tuple(pairs[i].first, pairs[i].second));
  return in.list(std::move(out));
}

Value groupby(Interpreter& in, const Value& v, Args& args) {
  auto bound = bind<3>("groupby", args, {"attribute", "default", "case_sensitive"}, 1);
  AttrGetter getter(in, *bound[0]);
  const Value* otherwise = bound.given(1) ? bound[1] : nullptr;
  auto items = in.items_of(v);
  std::vector<Value> keys, groups, members;
  for (const Value& item : items) keys.push_back(fold_case(in, getter(in, item, otherwise), bound.flag(2)));
  auto order = sorted_positions(in, keys, false);
  for (size_t at = 0; at < order.size(); ++at) {
    members.push_back(items[order[at]]);
    if (at + 1 < order.size() && in.equal(keys[order[at]], keys[order[at + 1]])) continue;
    Value name = getter(in, members[0], otherwise);  // as the first of the group spells it
    std::vector<Value> group;
    group.push_back(std::move(name));
    group.push_back(in.list(std::exchange(members, {})));
    groups.push_back(in.list(std::move(group), ListKind::kGroup));
  }
  return in.list(std::move(groups));
}

constexpr FilterRow kRows[] = {
    {"sort", sort},         {"unique", unique},     {"min", extreme<false>},
    {"max", extreme<true>}, {"dictsort", dictsort}, {"groupby", groupby},
};

}  // namespace

std::span<const FilterRow> order_filters() { return kRows; }

}  // namespace vllm::text::tmpl
