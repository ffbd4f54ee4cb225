#include "api/error.h"

#include <algorithm>

#include "api/json_text.h"

namespace vllm::api {

std::string ApiError::body() const {
  if (detail_only) {
    std::string out = R"({"detail":)";
    append_string(out, message);
    return out += '}';
  }
  std::string out = R"({"error":{"message":)";
  append_string(out, message);
  out += R"(,"type":)";
  append_string(out, type);
  out += R"(,"param":)";
  if (param) {
    append_string(out, *param);
  } else {
    out += "null";
  }
  out += fmt::format(R"(,"code":{}}}}})", status);
  return out;
}

ApiError bad_request(std::string message) { return {400, "BadRequestError", std::move(message), std::nullopt, false}; }

ApiError bad_parameter(std::string message, std::string_view param) {
  return {400, "BadRequestError", fmt::format("{} (parameter={})", message, param), std::string(param), false};
}

ApiError bad_parameter(std::string message, std::string_view param, std::string_view value) {
  return {400, "BadRequestError", fmt::format("{} (parameter={}, value={})", message, param, value), std::string(param),
          false};
}

ApiError not_built(std::string_view field, std::string_view what) {
  std::string message = what.empty() ? fmt::format("`{}` is not supported by this server yet.", field)
                                     : fmt::format("`{}`: {} is not supported by this server yet.", field, what);
  return {501, "NotImplementedError", std::move(message), std::string(field), false};
}

ApiError unknown_model(std::string_view model, const std::vector<std::string>& served) {
  std::string names;
  for (const std::string& name : served) names += (names.empty() ? "" : ", ") + name;
  return {404, "NotFoundError", fmt::format("The model `{}` does not exist. Valid aliases: {}.", model, names), "model",
          false};
}

ApiError unavailable(std::string message) {
  return {503, "ServiceUnavailableError", std::move(message), std::nullopt, false};
}

ApiError internal_error(std::string message) {
  return {500, "InternalServerError", std::move(message), std::nullopt, false};
}

ApiError from_error(const Error& error) {
  std::optional<std::string> param;
  if (!error.param.empty()) param = error.param;
  switch (error.code) {
    case ErrorCode::kInvalidArgument: return {400, "BadRequestError", error.message, param, false};
    case ErrorCode::kNotFound: return {404, "NotFoundError", error.message, param, false};
    case ErrorCode::kPermissionDenied: return {403, "PermissionDeniedError", error.message, param, false};
    case ErrorCode::kResourceExhausted: return {503, "Service Unavailable", error.message, param, false};
    case ErrorCode::kUnavailable: return {503, "ServiceUnavailableError", error.message, param, false};
    case ErrorCode::kUnimplemented: return {501, "NotImplementedError", error.message, param, false};
    case ErrorCode::kCancelled: return {400, "BadRequestError", "Client disconnected", param, false};
    case ErrorCode::kInternal: break;
  }
  return internal_error();  // what went wrong inside is for the log, not for the client
}

ApiError schema_error(const std::vector<SchemaIssue>& issues, size_t count) {
  constexpr size_t kMaxReported = 10;
  CHECK(!issues.empty());
  count = std::max(count, issues.size());
  std::string_view label = count == 1 ? "error" : "errors";
  std::string message = fmt::format("{} validation {}:", count, label);
  for (size_t i = 0; i < std::min(issues.size(), kMaxReported); ++i) {
    const SchemaIssue& issue = issues[i];
    std::string line = fmt::format("{{'type': {}, 'loc': {}, 'msg': {}, 'input': {}", python_repr(issue.type),
                                   python_repr(issue.loc), python_repr(issue.msg), python_repr(issue.input));
    if (!issue.ctx.empty()) line += ", 'ctx': {" + issue.ctx + "}";
    message += "\n  " + line + "}";
  }
  if (count > kMaxReported) message += fmt::format("\n  ...and {} more {}", count - kMaxReported, label);
  return {400, "Bad Request", std::move(message), issues.front().loc, false};
}

}  // namespace vllm::api
