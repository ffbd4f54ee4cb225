#pragma once
// The filters by file; filters.cc looks through them.
#include <span>
#include <string_view>

#include "text/template/ast.h"

namespace vllm::text::tmpl {
struct FilterRow {
  std::string_view name;
  FilterFn fn;
};
std::span<const FilterRow> text_filters();      // filters_text.cc
std::span<const FilterRow> sequence_filters();  // filters_sequence.cc
std::span<const FilterRow> order_filters();     // filters_order.cc
std::span<const FilterRow> value_filters();     // filters_value.cc
}  // namespace vllm::text::tmpl
