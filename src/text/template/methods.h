#pragma once
// Methods and attributes of str, list, tuple, dict, int and float.
#include <optional>
#include <string_view>

#include "text/template/objects.h"

namespace vllm::text::tmpl {
/// The method `self.name`, or null.
MethodFn find_method(const Value& self, std::string_view name);
/// True for a method that exists and that the sandbox hides because it changes its object (append, pop, update, ...).
bool is_mutating(const Value& self, std::string_view name);

struct MethodRow {
  std::string_view name;
  MethodFn fn;
};
MethodFn find_text_method(std::string_view name);  // methods_text.cc
/// str.isupper() or str.islower()
bool has_case(std::string_view s, bool upper);
}  // namespace vllm::text::tmpl
