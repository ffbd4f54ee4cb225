#pragma once
// The tojson filter: Python's json.dumps.
#include <optional>
#include <string>

#include "text/template/interpreter.h"

namespace vllm::text::tmpl {

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;  // one level of it
  std::string item_separator = ", ", key_separator = ": ";
};

/// Fails with TypeError's words for what JSON cannot hold, an undefined value among them.
std::string to_json(Interpreter& in, const Value& v, const JsonStyle& style);

}  // namespace vllm::text::tmpl
