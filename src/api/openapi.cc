#include "api/openapi.h"

#include <array>

#include "api/json_text.h"
#include "api/requests.h"

namespace vllm::api {
namespace {

std::string_view support_text(const Field& field) {
  switch (field.support) {
    case Support::kBuilt:
      return "";
    case Support::kAccepted:
      return " Accepted without effect.";
    case Support::kNotBuilt:
      return " Not built yet: answered with 501.";
  }
  return "";
}

void append_property(std::string& out, const Field& field) {
  append_string(out, field.name);
  out += ":{";
  std::string_view schema = field.schema;  // "{…}": its members, then ours
  schema.remove_prefix(1), schema.remove_suffix(1);
  if (field.choices.empty()) {
    out += schema;
  } else {
    out += R"("type":"string","enum":[)";
    bool first = true;
    for (std::string_view rest = field.choices; !rest.empty();) {
      std::string_view choice = rest.substr(0, rest.find('|'));
      rest.remove_prefix(std::min(rest.size(), choice.size() + 1));
      if (!first) out += ',';
      first = false;
      append_string(out, choice);
    }
    out += ']';
  }
  if (out.back() != '{') out += ',';
  if (field.range.bounded && field.schema == R"({"type":"integer"})") {
    out += fmt::format(R"("minimum":{},"maximum":{},)", field.range.lo, field.range.hi);
  }
  if (!field.fallback.empty()) {
    out += R"("default":)";
    out += field.fallback;
    out += ',';
  }
  out += R"("nullable":true,"description":)";
  append_string(out, std::string(field.help) + std::string(support_text(field)));
  out += '}';
}

void append_schema(std::string& out, std::span<const Field> fields) {
  out += R"({"type":"object","properties":{)";
  for (const Field& field : fields) {
    if (&field != &fields.front()) out += ',';
    append_property(out, field);
  }
  out += '}';
  std::string required;
  for (const Field& field : fields) {
    if (!field.required) continue;
    if (!required.empty()) required += ',';
    append_string(required, field.name);
  }
  if (!required.empty()) out += R"(,"required":[)" + required + "]";
  out += '}';
}

void append_operation(std::string& out, const OpenApiOperation& operation) {
  append_string(out, operation.method);
  out += R"(:{"summary":)";
  append_string(out, operation.summary);
  if (!operation.fields.empty()) {
    out += R"(,"requestBody":{"required":true,"content":{"application/json":{"schema":)";
    if (operation.other_fields.empty()) {
      append_schema(out, operation.fields);
    } else {
      out += R"({"anyOf":[)";
      append_schema(out, operation.fields);
      out += ',';
      append_schema(out, operation.other_fields);
      out += "]}";
    }
    out += "}}}";
  }
  out += R"(,"responses":{"200":{"description":"Successful Response"}}})";
}

}  // namespace

std::span<const OpenApiOperation> api_operations() {
  static const std::array kOperations = {
      OpenApiOperation{"/v1/models", "get", "Show available models"},
      OpenApiOperation{"/v1/chat/completions", "post", "Create chat completion", chat_completion_fields()},
      OpenApiOperation{"/v1/completions", "post", "Create completion", completion_fields()},
      OpenApiOperation{"/tokenize", "post", "Tokenize", tokenize_completion_fields(), tokenize_chat_fields()},
      OpenApiOperation{"/detokenize", "post", "Detokenize", detokenize_fields()},
  };
  return kOperations;
}

std::string openapi_document(std::string_view version, std::span<const OpenApiOperation> operations) {
  std::string out = R"({"openapi":"3.1.0","info":{"title":"vllm.cpp","version":)";
  append_string(out, version);
  out += R"(},"paths":{)";
  for (size_t i = 0; i < operations.size(); ++i) {
    if (i && operations[i].path == operations[i - 1].path) {  // a second method of the same path
      out.pop_back();
      out += ',';
    } else {
      if (i) out += ',';
      append_string(out, operations[i].path);
      out += ":{";
    }
    append_operation(out, operations[i]);
    out += '}';
  }
  return out += "}}";
}

}  // namespace vllm::api
