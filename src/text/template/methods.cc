#include "text/template/methods.h"

#include <algorithm>
#include <cmath>

namespace vllm::text::tmpl {
namespace {

Value dict_get(Interpreter& in, const Value& self, Args& args) {
  auto bound = bind<2>("get", args, {"", ""}, 1);
  const Value* found = self.dict().find(*bound[0]);
  return found ? *found : bound[1] ? *bound[1] : Value();
}

Value dict_keys(Interpreter& in, const Value& self, Args& args) {
  bind<0>("keys", args, {});
  std::vector<Value> items;
  for (const auto& [key, value] : self.dict().items) items.push_back(key);
  return in.list(std::move(items), ListKind::kKeys);
}

Value dict_values(Interpreter& in, const Value& self, Args& args) {
  bind<0>("values", args, {});
  std::vector<Value> items;
  for (const auto& [key, value] : self.dict().items) items.push_back(value);
  return in.list(std::move(items), ListKind::kValues);
}

Value dict_items(Interpreter& in, const Value& self, Args& args) {
  bind<0>("items", args, {});
  std::vector<Value> items;
  for (const auto& [key, value] : self.dict().items) items.push_back(in.tuple(key, value));
  return in.list(std::move(items), ListKind::kItems);
}

Value same(Interpreter& in, const Value& self, Args&) { return self; }  // copy() of what cannot change

Value list_index(Interpreter& in, const Value& self, Args& args) {
  auto bound = bind<3>("index", args, {"", "", ""}, 1);
  const auto& items = self.list().items;
  auto n = static_cast<int64_t>(items.size());
  int64_t from = bound.integer(1, 0), to = bound.integer(2, n);
  if (from < 0) from = std::max<int64_t>(from + n, 0);
  if (to < 0) to += n;
  for (int64_t i = from; i < std::min(to, n); ++i) {
    if (in.equal(items[static_cast<size_t>(i)], *bound[0])) return Value(i);
  }
  fail("{} is not in list", in.repr(*bound[0]));
}

Value list_count(Interpreter& in, const Value& self, Args& args) {
  auto bound = bind<1>("count", args, {""}, 1);
  int64_t n = 0;
  for (const Value& item : self.list().items) n += in.equal(item, *bound[0]);
  return Value(n);
}

Value float_is_integer(Interpreter&, const Value& self, Args&) {
  return Value(std::isfinite(self.number()) && std::floor(self.number()) == self.number());
}

constexpr MethodRow kDictMethods[] = {
    {"get", dict_get}, {"keys", dict_keys}, {"values", dict_values}, {"items", dict_items}, {"copy", same},
};
constexpr MethodRow kListMethods[] = {{"index", list_index}, {"count", list_count}, {"copy", same}};
constexpr std::string_view kDictMutators[] = {"clear", "pop", "popitem", "setdefault", "update"};
constexpr std::string_view kListMutators[] = {"append", "clear", "pop",    "reverse",
                                              "insert", "sort",  "extend", "remove"};

template <size_t N>
MethodFn find_in(const MethodRow (&rows)[N], std::string_view name) {
  for (const MethodRow& row : rows) {
    if (row.name == name) return row.fn;
  }
  return nullptr;
}

}  // namespace

MethodFn find_method(const Value& self, std::string_view name) {
  if (self.is_text()) return find_text_method(name);
  if (self.is_dict()) return find_in(kDictMethods, name);
  if (self.is_list() && self.list().has_index()) {
    if (name == "copy" && self.list().kind != ListKind::kList) return nullptr;
    return find_in(kListMethods, name);
  }
  if (self.is_float() && name == "is_integer") return float_is_integer;
  return nullptr;
}

bool is_mutating(const Value& self, std::string_view name) {
  auto among = [&](const auto& names) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
  };
  if (self.is_dict()) return among(kDictMutators);
  return self.is_list() && self.list().kind == ListKind::kList && among(kListMutators);
}

}  // namespace vllm::text::tmpl
