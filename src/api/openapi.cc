#include "api/openapi.h"

#include <algorithm>

#include "api/fields.h"
#include "api/json_text.h"
#include "api/requests.h"

namespace vllm::api {
namespace {

std::string_view support_text(const Field& field) {
  switch (field.support) {
    case Support::kBuilt: return "";
    case Support::kAccepted: return " Accepted without effect.";
    case Support::kNotBuilt: return " Not built yet: answered with 501.";
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

}  // namespace

std::string openapi_schemas() {
  std::string out = R"({"CompletionRequest":)";
  append_schema(out, completion_fields());
  out += R"(,"ChatCompletionRequest":)";
  append_schema(out, chat_completion_fields());
  out += R"(,"TokenizeRequest":{"anyOf":[)";
  append_schema(out, tokenize_completion_fields());
  out += ',';
  append_schema(out, tokenize_chat_fields());
  out += R"(]},"DetokenizeRequest":)";
  append_schema(out, detokenize_fields());
  return out += '}';
}

}  // namespace vllm::api
