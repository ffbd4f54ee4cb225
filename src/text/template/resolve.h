#pragma once
// The pass between parsing and running: binds filters and tests, checks loop controls, finds what macros take and the
// template reads.
#include <set>
#include <string>
#include <string_view>

#include "text/template/ast.h"

namespace vllm::text::tmpl {

struct TemplateFacts {
  std::set<std::string, std::less<>> names;  // every variable the template reads
  bool loops_over_content = false;           // some loop runs over message['content']
};

/// Fails with the line for an unknown filter or test (outside of a condition) or a break outside of a loop.
TemplateFacts resolve(Template& tmpl);

}  // namespace vllm::text::tmpl
