#pragma once
// Result<T> and Status: errors that a user, a request or a file can cause, as values.
// Method names follow std::expected, so that Result can become an alias once every compiler we build with has it.
#include <fmt/core.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/check.h"

namespace vllm {

/// What kind of failure it is. One table in `server` maps these to HTTP statuses.
enum class ErrorCode {
  kInvalidArgument,    // the caller's input is wrong: 400
  kNotFound,           // no such model, file or route: 404
  kPermissionDenied,   // missing or wrong key, gated repository: 401/403
  kResourceExhausted,  // out of memory, a queue is full: 503
  kUnavailable,        // not ready, draining, network down: 503
  kUnimplemented,      // known, but not built yet: 501
  kCancelled,          // the client went away
  kInternal,           // our own fault: 500
};

std::string_view to_string(ErrorCode code);

/// An error: a code and a message that a user can act on. `param` names the flag or request field at fault, if one is.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  std::string param;
};

/// Make an error: `return error(ErrorCode::kNotFound, "no file named {}", name);`
template <typename... Args>
Error error(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return {code, fmt::format(format, std::forward<Args>(args)...), {}};
}
template <typename... Args>
Error invalid_argument(fmt::format_string<Args...> format, Args&&... args) {
  return {ErrorCode::kInvalidArgument, fmt::format(format, std::forward<Args>(args)...), {}};
}

/// A value or an Error.
template <typename T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  T& value() & {
    CHECK(has_value());
    return std::get<0>(state_);
  }
  const T& value() const& {
    CHECK(has_value());
    return std::get<0>(state_);
  }
  T&& value() && {
    CHECK(has_value());
    return std::get<0>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  Error& error() & {
    CHECK(!has_value());
    return std::get<1>(state_);
  }
  const Error& error() const& {
    CHECK(!has_value());
    return std::get<1>(state_);
  }
  Error&& error() && {
    CHECK(!has_value());
    return std::get<1>(std::move(state_));
  }

  /// Put "<context>: " before the message of an error; a value passes through.
  template <typename... Args>
  Result with_context(fmt::format_string<Args...> format, Args&&... args) && {
    if (!has_value()) error().message = fmt::format(format, std::forward<Args>(args)...) + ": " + error().message;
    return std::move(*this);
  }

 private:
  std::variant<T, Error> state_;
};

/// Success or an Error.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}
  static Status ok() { return {}; }
  bool has_value() const { return !error_; }
  explicit operator bool() const { return has_value(); }
  const Error& error() const& {
    CHECK(error_.has_value());
    return *error_;
  }
  Error&& error() && {
    CHECK(error_.has_value());
    return std::move(*error_);
  }
  template <typename... Args>
  Status with_context(fmt::format_string<Args...> format, Args&&... args) && {
    if (error_) error_->message = fmt::format(format, std::forward<Args>(args)...) + ": " + error_->message;
    return std::move(*this);
  }

 private:
  std::optional<Error> error_;
};

}  // namespace vllm

#define VLLM_CONCAT_(a, b) a##b
#define VLLM_CONCAT(a, b) VLLM_CONCAT_(a, b)
/// Return the error of `expr` (a Status or Result) from the calling function, if it has one.
#define RETURN_IF_ERROR(expr)                                                           \
  do {                                                                                  \
    if (auto vllm_status = (expr); !vllm_status) return std::move(vllm_status).error(); \
  } while (0)
/// `ASSIGN_OR_RETURN(auto x, make_x());`: bind the value, or return the error.
#define ASSIGN_OR_RETURN(decl, expr)                                                                       \
  auto VLLM_CONCAT(vllm_result_, __LINE__) = (expr);                                                       \
  if (!VLLM_CONCAT(vllm_result_, __LINE__)) return std::move(VLLM_CONCAT(vllm_result_, __LINE__)).error(); \
  decl = std::move(VLLM_CONCAT(vllm_result_, __LINE__)).value()
