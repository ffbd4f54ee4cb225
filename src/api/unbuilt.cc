#include "api/unbuilt.h"

#include <fmt/format.h>

#include <array>

#include "api/coerce.h"
#include "api/json_body.h"

namespace vllm::api {
namespace {

struct Required {
  std::string_view path;
  std::array<std::string_view, 3> fields;  // in the order of vLLM's models; unused ones are empty
};
constexpr size_t kMaxChecked = size_t{1} << 20;  // bytes; the caller is an I/O thread
constexpr Required kRequired[] = {
    {"/v1/responses", {"input"}},
    {"/v1/messages", {"model", "messages", "max_tokens"}},
    {"/v1/messages/count_tokens", {"model", "messages"}},
    {"/v1/chat/completions/batch", {"messages"}},
};

MaybeError check(const Required& required, std::string_view content_type, std::string_view body) {
  auto parsed = parse_body(body, content_type);
  if (!parsed) return parsed.error();
  Issues issues;
  const json::object* object = parsed->if_object();
  if (!object) {
    issues.add("model_attributes_type", "body", "Input should be a valid dictionary or object to extract fields from",
               *parsed);
    return issues.error();
  }
  for (std::string_view field : required.fields) {
    if (field.empty()) break;
    if (!object->contains(field)) issues.missing(fmt::format("body.{}", field), *parsed);
  }
  if (issues.empty()) return std::nullopt;
  return issues.error();
}

}  // namespace

ApiError unbuilt_endpoint(std::string_view method, std::string_view path, std::string_view content_type,
                          std::string_view body) {
  constexpr std::string_view kStored = "/v1/responses/", kCancel = "/cancel";
  if (path.starts_with(kStored)) {  // nothing is stored, so no id is known
    std::string_view id = path.substr(kStored.size());
    if (id.ends_with(kCancel)) id.remove_suffix(kCancel.size());
    return {404, "invalid_request_error", fmt::format("Response with id '{}' not found.", id.substr(0, 200)),
            "response_id", false};
  }
  for (const Required& required : kRequired) {
    if (path != required.path || body.size() > kMaxChecked) continue;
    if (MaybeError error = check(required, content_type, body)) return std::move(*error);
  }
  return {501, "NotImplementedError",
          fmt::format("The endpoint {} {} is known but not built yet.", method, path.substr(0, 200)), std::nullopt,
          false};
}

}  // namespace vllm::api
