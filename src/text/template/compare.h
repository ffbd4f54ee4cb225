#pragma once
// Python's ==, < and `in`.
#include "text/template/value.h"

namespace vllm::text::tmpl {

/// x == y; each pair of items compared costs a step.
bool equal(Budget& budget, const Value& x, const Value& y);
/// x == y with a fixed allowance of comparisons, for dict keys.
bool equal_bounded(const Value& x, const Value& y);
enum class Order { kLess, kLessEqual, kGreater, kGreaterEqual };
/// x < y and its kin; fails with TypeError's words if the types have no order.
bool ordered(Budget& budget, Order op, const Value& x, const Value& y);
/// x in y
bool contains(Budget& budget, const Value& container, const Value& item);

}  // namespace vllm::text::tmpl
