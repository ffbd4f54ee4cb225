#pragma once
// Python's repr() of values.
#include <string>
#include <string_view>

#include "text/template/interpreter.h"

namespace vllm::text::tmpl {

/// repr(v); fails when it grows beyond the budget (a list may hold itself many times over).
std::string to_repr(Interpreter& in, const Value& v);
/// repr of a str: single quotes unless only those occur in it.
std::string quoted(std::string_view s);
/// repr(float): the shortest digits that read back equal.
std::string float_repr(double d);

}  // namespace vllm::text::tmpl
