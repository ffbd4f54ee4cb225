#pragma once
// Whether a template expects a message's content as a list of parts.
#include "text/template/ast.h"

namespace vllm::text::tmpl {
/// True if a loop runs over the content of a message, found as vLLM 0.33 finds it for --chat-template-content-format
/// auto: from `messages` through plain assignments and loops to a loop over `.content` (filters, tests and slices are
/// looked through).
bool loops_over_content(const Template& tmpl);
}  // namespace vllm::text::tmpl
