#pragma once
// Arguments of a call, and their binding to parameter names.
#include <array>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/template/value.h"

namespace vllm::text::tmpl {

struct Args {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keywords;
};

/// Arguments by parameter; null where none was given. The first `required` ones must be.
template <size_t N>
class Bound {
 public:
  const Value* operator[](size_t i) const { return values_[i]; }
  bool flag(size_t i, bool otherwise = false) const { return values_[i] ? values_[i]->truthy() : otherwise; }
  bool given(size_t i) const { return values_[i] && !values_[i]->is_none(); }
  /// An integer argument; `otherwise` if absent or None. Fails for another type.
  int64_t integer(size_t i, int64_t otherwise) const {
    if (!given(i)) return otherwise;
    if (values_[i]->is_undefined()) fail("{}", values_[i]->undefined_message());
    if (!values_[i]->is_integral()) fail("'{}' object cannot be interpreted as an integer", values_[i]->type_name());
    return values_[i]->integer();
  }
  std::array<const Value*, N> values_{};
};

template <size_t N>
Bound<N> bind(std::string_view function, const Args& args, const std::array<std::string_view, N>& names,
              size_t required = 0) {
  Bound<N> bound;
  if (args.positional.size() > N)
    fail("{}() takes at most {} arguments ({} given)", function, N, args.positional.size());
  for (size_t i = 0; i < args.positional.size(); ++i) bound.values_[i] = &args.positional[i];
  for (const auto& [key, value] : args.keywords) {
    size_t i = 0;
    while (i < N && names[i] != key) ++i;
    if (i == N) fail("{}() got an unexpected keyword argument '{}'", function, key);
    if (bound.values_[i]) fail("{}() got multiple values for argument '{}'", function, key);
    bound.values_[i] = &value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (!bound.values_[i]) fail("{}() missing required argument: '{}'", function, names[i]);
  }
  return bound;
}

}  // namespace vllm::text::tmpl
