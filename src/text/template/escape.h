#pragma once
// markupsafe.escape
#include <string>
#include <string_view>

#include "text/template/interpreter.h"

namespace vllm::text::tmpl {
std::string escape_html(Interpreter& in, std::string_view s);
}  // namespace vllm::text::tmpl
