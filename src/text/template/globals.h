#pragma once
// Functions every template has: range, dict, namespace, cycler, joiner, raise_exception, strftime_now.
#include <string_view>

#include "text/template/objects.h"

namespace vllm::text::tmpl {
/// The function of that name, or null.
Function::Fn find_global(std::string_view name);
}  // namespace vllm::text::tmpl
