#pragma once
// The one exception of this folder: a template, its input or a limit is at fault. chat_template.cc catches it; nothing
// else leaves.
#include <fmt/core.h>

#include <string>
#include <utility>

namespace vllm::text::tmpl {

struct TemplateFailure {
  std::string message;  // as Python words it
  int line = 0;         // 1-based line of the template; 0: not placed yet
  bool raised = false;  // by raise_exception: the message is the template author's
};

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw TemplateFailure{fmt::format(format, std::forward<Args>(args)...), 0, false};
}
template <typename... Args>
[[noreturn]] void fail_at(int line, fmt::format_string<Args...> format, Args&&... args) {
  throw TemplateFailure{fmt::format(format, std::forward<Args>(args)...), line, false};
}

}  // namespace vllm::text::tmpl
