#include "text/template/compare.h"

#include <cmath>

#include "text/template/utf8.h"

namespace vllm::text::tmpl {
namespace {

// int against float without rounding the int: only values both can hold are equal.
int compare_numbers(const Value& x, const Value& y) {
  if (x.is_integral() && y.is_integral()) return x.integer() < y.integer() ? -1 : x.integer() > y.integer();
  auto mixed = [](int64_t i, double d) {  // i against d
    if (d >= 9223372036854775808.0) return -1;
    if (d < -9223372036854775808.0) return 1;
    auto whole = static_cast<int64_t>(d);
    if (i != whole) return i < whole ? -1 : 1;
    double rest = d - static_cast<double>(whole);
    return rest > 0 ? -1 : rest < 0 ? 1 : 0;
  };
  if (x.is_integral()) return mixed(x.integer(), y.number());
  if (y.is_integral()) return -mixed(y.integer(), x.number());
  return x.number() < y.number() ? -1 : x.number() > y.number();
}

bool is_nan(const Value& v) { return v.is_float() && std::isnan(v.number()); }

// What == compares as one type: a list never equals a tuple.
ListKind family(const List& l) {
  switch (l.kind) {
    case ListKind::kGroup: return ListKind::kTuple;
    default: return l.kind;
  }
}

std::string_view order_sign(Order op) {
  switch (op) {
    case Order::kLess: return "<";
    case Order::kLessEqual: return "<=";
    case Order::kGreater: return ">";
    case Order::kGreaterEqual: return ">=";
  }
  return "";
}

bool holds(Order op, int cmp) {
  switch (op) {
    case Order::kLess: return cmp < 0;
    case Order::kLessEqual: return cmp <= 0;
    case Order::kGreater: return cmp > 0;
    case Order::kGreaterEqual: return cmp >= 0;
  }
  return false;
}

}  // namespace

bool equal(Budget& budget, const Value& x, const Value& y) {
  budget.step();
  if (x.is_number() && y.is_number()) return !is_nan(x) && !is_nan(y) && compare_numbers(x, y) == 0;
  if (x.is_text() && y.is_text()) {
    budget.step_bytes(x.text().size());
    return x.text() == y.text();
  }
  if (x.is_undefined() || y.is_undefined()) return x.is_undefined() && y.is_undefined();
  if (x.same_as(y)) return true;
  if (x.is_dict() && y.is_dict()) {
    if (x.dict().items.size() != y.dict().items.size()) return false;
    for (const auto& [key, value] : x.dict().items) {
      const Value* other = y.dict().find(key);
      if (!other || !equal(budget, value, *other)) return false;
    }
    return true;
  }
  if (x.is_list() && y.is_list()) {
    const List &a = x.list(), &b = y.list();
    bool views = a.kind == ListKind::kValues || a.kind == ListKind::kGenerator;  // these compare by identity
    if (views || family(a) != family(b) || a.items.size() != b.items.size()) return false;
    for (size_t i = 0; i < a.items.size(); ++i) {
      if (!equal(budget, a.items[i], b.items[i])) return false;
    }
    return true;
  }
  return false;
}

bool equal_bounded(const Value& x, const Value& y) {
  Budget allowance(100'000, 0);
  return equal(allowance, x, y);
}

bool ordered(Budget& budget, Order op, const Value& x, const Value& y) {
  budget.step();
  if (x.is_undefined()) fail("{}", x.undefined_message());
  if (y.is_undefined()) fail("{}", y.undefined_message());
  if (x.is_number() && y.is_number()) return !is_nan(x) && !is_nan(y) && holds(op, compare_numbers(x, y));
  if (x.is_text() && y.is_text()) {
    budget.step_bytes(x.text().size());
    return holds(op, x.text().compare(y.text()));  // UTF-8 sorts as code points do
  }
  if (x.is_list() && y.is_list() && x.list().has_index() && family(x.list()) == family(y.list()) &&
      x.list().kind != ListKind::kRange) {
    const auto &a = x.list().items, &b = y.list().items;
    size_t i = 0;
    while (i < a.size() && i < b.size() && equal(budget, a[i], b[i])) ++i;
    if (i < a.size() && i < b.size()) return ordered(budget, op, a[i], b[i]);
    return holds(op, a.size() < b.size() ? -1 : a.size() > b.size());
  }
  fail("'{}' not supported between instances of '{}' and '{}'", order_sign(op), x.type_name(), y.type_name());
}

bool contains(Budget& budget, const Value& container, const Value& item) {
  if (container.is_text()) {
    if (!item.is_text()) fail("'in <string>' requires string as left operand, not {}", item.type_name());
    budget.step_bytes(container.text().size());
    return find_text(container.text(), item.text()) != std::string_view::npos;
  }
  if (container.is_dict()) return container.dict().find(item) != nullptr;
  if (container.is_undefined()) return false;
  if (container.is_list()) {
    const List& list = container.list();
    for (size_t i = list.cursor; i < list.items.size(); ++i) {
      if (!list.has_length()) list.cursor = i + 1;
      if (list.items[i].same_as(item) || equal(budget, list.items[i], item)) return true;
    }
    return false;
  }
  fail("argument of type '{}' is not iterable", container.type_name());
}

}  // namespace vllm::text::tmpl
