#pragma once
// Python's ==, < and `in`.
#include <algorithm>
#include <numeric>
#include <vector>

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

/// The positions 0..n-1 in stable order by less(i, j). Merge sort: an order that contradicts itself (NaN) does no harm.
template <typename Less>
std::vector<size_t> stable_order(size_t n, const Less& less) {
  std::vector<size_t> order(n), merged(n);
  std::iota(order.begin(), order.end(), size_t{0});
  for (size_t width = 1; width < n; width *= 2) {
    for (size_t start = 0; start < n; start += 2 * width) {
      auto at = [&](size_t i) { return order.begin() + static_cast<ptrdiff_t>(std::min(i, n)); };
      std::merge(at(start), at(start + width), at(start + width), at(start + 2 * width),
                 merged.begin() + static_cast<ptrdiff_t>(start), less);
    }
    order.swap(merged);
  }
  return order;
}

}  // namespace vllm::text::tmpl
