#pragma once
// The error object of the HTTP API, worded and typed as vLLM's: {"error": {"message", "type", "param", "code"}}.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/check.h"
#include "base/result.h"

namespace vllm::api {

struct ApiError {
  int status = 400;  // HTTP status, also `code` in the body
  std::string type = "BadRequestError";
  std::string message;
  std::optional<std::string> param;
  bool detail_only = false;  // the body is {"detail": message}, as the web framework under vLLM answers by itself
  /// The JSON body.
  std::string body() const;
};

/// 400 BadRequestError with param null.
ApiError bad_request(std::string message);
/// 400 BadRequestError about one field: the message ends in "(parameter=…)" or "(parameter=…, value=…)" as vLLM's do.
ApiError bad_parameter(std::string message, std::string_view param);
ApiError bad_parameter(std::string message, std::string_view param, std::string_view value);
/// 501: the field is known, but what it asks for is not built yet. Names the field in message and param.
ApiError not_built(std::string_view field, std::string_view what = {});
ApiError unknown_model(std::string_view model, const std::vector<std::string>& served);
/// 503 while the server drains or the queue is full.
ApiError unavailable(std::string message);
ApiError internal_error(std::string message = "Internal server error");
/// The API's view of an error of the engine, the template or the tokenizer.
ApiError from_error(const Error& error);

/// One violation of the schema, rendered like pydantic's: {'type': …, 'loc': …, 'msg': …, 'input': …[, 'ctx': {…}]}.
struct SchemaIssue {
  std::string type;  // "int_parsing"
  std::string loc;   // "body.max_tokens"
  std::string msg;
  std::string input;  // as shown: a scalar's text, '<list of 3 items>'; empty prints ''
  std::string ctx;    // "'ge': 0", or empty
};
/// 400 "Bad Request" that lists the first ten issues; param is the first one's place. `issues` is not empty; `count` is
/// their number where not all were kept.
ApiError schema_error(const std::vector<SchemaIssue>& issues, size_t count = 0);

/// A value or an ApiError.
template <typename T>
class [[nodiscard]] ApiResult {
 public:
  ApiResult(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  ApiResult(ApiError error) : state_(std::in_place_index<1>, std::move(error)) {}
  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  T& value() {
    CHECK(has_value());
    return std::get<0>(state_);
  }
  const T& value() const {
    CHECK(has_value());
    return std::get<0>(state_);
  }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const ApiError& error() const {
    CHECK(!has_value());
    return std::get<1>(state_);
  }

 private:
  std::variant<T, ApiError> state_;
};
using MaybeError = std::optional<ApiError>;

}  // namespace vllm::api
