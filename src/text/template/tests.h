#pragma once
// Tests: `value is name(args)`.
#include <string_view>

#include "text/template/ast.h"

namespace vllm::text::tmpl {
/// The test of that name, or null.
TestFn find_test(std::string_view name);
}  // namespace vllm::text::tmpl
