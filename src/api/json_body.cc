#include "api/json_body.h"

#include <algorithm>
#include <cmath>

#include "api/json_text.h"
#include "base/utf8.h"

namespace vllm::api {
namespace {

constexpr std::string_view kNan{"\0NaN", 4}, kInfinity{"\0Infinity", 9}, kMinusInfinity{"\0-Infinity", 10};

// Starlette's answer where reading the body fails before any schema is looked at.
ApiError unreadable_body() {
  ApiError error = bad_request("There was an error parsing the body");
  error.detail_only = true;
  return error;
}

bool is_json_media_type(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.pop_back();
  std::transform(type.begin(), type.end(), type.begin(),
                 [](unsigned char c) { return c < 0x80 ? static_cast<char>(std::tolower(c)) : '?'; });
  return type == "application/json";
}

}  // namespace

std::optional<double> as_special_number(const json::value& value) {
  const json::string* text = value.if_string();
  if (!text || text->empty() || (*text)[0] != '\0') return std::nullopt;
  std::string_view view(text->data(), text->size());
  if (view == kNan) return std::nan("");
  if (view == kInfinity) return INFINITY;
  if (view == kMinusInfinity) return -INFINITY;
  return std::nullopt;
}

ApiResult<json::value> parse_body(std::string_view body, std::string_view content_type, const BodyLimits& limits) {
  if (body.size() > limits.max_bytes) {
    ApiError error = bad_request(
        fmt::format("The request body has {} bytes; at most {} are accepted.", body.size(), limits.max_bytes));
    error.status = 413;
    return error;
  }
  const bool blank = body.empty() || body == "null";
  if (blank) return schema_error({{"missing", "body", "Field required", "None", {}}});
  if (!is_json_media_type(content_type)) {
    return ApiError{400, "Bad Request",
                    "1 validation error:\n  Unsupported Media Type: Only 'application/json' is allowed", std::nullopt,
                    false};
  }
  size_t values = 0;
  for (char c : body) values += c == ',' || c == '[' || c == '{';
  if (values > limits.max_values)
    return bad_request(fmt::format("The request body has more than {} JSON values.", limits.max_values));
  auto parsed = parse_json(body, {.max_depth = limits.max_depth});
  if (parsed) return std::move(parsed).value();

  if (!is_utf8(body)) return unreadable_body();
  PythonJsonVerdict verdict = judge_as_python(body, limits.max_depth);
  if (verdict.too_deep) return unreadable_body();
  if (!verdict.ok) {
    std::string ctx = fmt::format("'error': {}", python_repr(verdict.message));
    return schema_error({{"json_invalid", fmt::format("body.{}", verdict.position), "JSON decode error",
                          "<dict of 0 items>", std::move(ctx)}});
  }
  if (verdict.lone_surrogate) return bad_request("The body holds half of a surrogate pair, which is no text.");
  parsed = parse_json(verdict.rewritten, {.max_depth = limits.max_depth});
  if (!parsed) return unreadable_body();
  return std::move(parsed).value();
}

}  // namespace vllm::api
