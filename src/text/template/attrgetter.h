#pragma once
// `attribute="a.b.0"` arguments of filters.
#include <optional>
#include <string_view>
#include <vector>

#include "text/template/interpreter.h"

namespace vllm::text::tmpl {

class AttrGetter {
 public:
  /// `attribute` is a text (dotted path; digits are indices), an integer or None (the item itself).
  AttrGetter(Interpreter& in, const Value& attribute);
  /// The attribute of an item; `otherwise` in place of an undefined one.
  Value operator()(Interpreter& in, const Value& item, const Value* otherwise = nullptr) const;

 private:
  std::vector<Value> path_;
};

/// Text in lower case unless `case_sensitive`; anything else as it is.
Value fold_case(Interpreter& in, const Value& v, bool case_sensitive);

}  // namespace vllm::text::tmpl
