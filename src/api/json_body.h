#pragma once
// A request body: checked, parsed, and, where it is no JSON, refused with the place and words that Python's json module
// uses (clients and vLLM's own tests look at them).
#include <string_view>

#include "api/error.h"
#include "base/json.h"

namespace vllm::api {

struct BodyLimits {
  size_t max_bytes = size_t{64} << 20;
  int max_depth = 200;                  // vLLM's ends near 1,000; deeper bodies are refused the same way
  size_t max_values = size_t{8} << 20;  // commas and brackets: bounds the memory a body can ask for
};

/// Parse the body of a POST. `content_type` is the header's value. Accepts NaN, Infinity and numbers out of range as
/// Python does: they arrive as marker strings that only number fields read (see as_special_number).
ApiResult<json::value> parse_body(std::string_view body, std::string_view content_type, const BodyLimits& limits = {});

/// NaN or an infinity that parse_body left as a marker; nullopt for every other value.
std::optional<double> as_special_number(const json::value& value);

/// What Python's json.loads says about a text: where (in characters) and why it fails, or that it is accepted.
struct PythonJsonVerdict {
  bool ok = false;
  size_t position = 0;
  std::string_view message;
  bool too_deep = false;
  bool lone_surrogate = false;  // accepted by Python, though no text
  std::string rewritten;        // if ok: the same text with NaN, infinities and overflowing numbers as marker strings
};
PythonJsonVerdict judge_as_python(std::string_view text, int max_depth);

}  // namespace vllm::api
