#include "api/fields.h"

namespace vllm::api {
namespace {

// False for null, false, "off", 0, "" and empty containers.
bool asks_for_something(const json::value& value) {
  Issues ignored;
  if (value.is_string()) {
    if (auto flag = coerce_bool(value, "", ignored)) return *flag;
  }
  return truthy(value);
}

}  // namespace

MaybeError read_fields(std::span<const Field> table, json::value& body, RequestBase& request, Issues& issues) {
  if (!body.is_object()) {
    issues.add("model_attributes_type", "body", "Input should be a valid dictionary or object to extract fields from",
               body);
    return std::nullopt;
  }
  json::object& object = body.get_object();
  MaybeError refused;
  std::string loc;
  for (const Field& field : table) {
    loc = "body.";
    loc += field.name;
    json::value* value = object.if_contains(field.name);
    if (!value) {
      if (field.required) issues.missing(loc, body);
      continue;
    }
    if (value->is_null() && !field.required) continue;
    if (field.support == Support::kNotBuilt && !refused && asks_for_something(*value)) refused = not_built(field.name);
    field.read(*value, request, field, loc, issues);
  }
  return refused;
}

MaybeError read_fields(std::span<const Field> table, json::value& body, RequestBase& request) {
  Issues issues;
  MaybeError refused = read_fields(table, body, request, issues);
  if (!issues.empty()) return issues.error();
  return refused;
}

}  // namespace vllm::api
