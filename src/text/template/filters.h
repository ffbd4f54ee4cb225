#pragma once
// Filters: `value | name(args)`.
#include <string_view>

#include "text/template/ast.h"

namespace vllm::text::tmpl {
/// The filter of that name, or null.
FilterFn find_filter(std::string_view name);
}  // namespace vllm::text::tmpl
