// Structured outputs are not built yet. What asks for them is told so (501), unless the constraint itself is wrong:
// that is the client's mistake (400) whatever the server can do.
#include <array>

#include "api/generate_fields.h"
#include "api/json_text.h"
#include "api/regex_check.h"

namespace vllm::api {
namespace {

constexpr std::string_view kOneKindAtMost =
    "You can only use one kind of constraints for structured outputs ('json', 'regex' or 'choice').";
constexpr std::string_view kOneKind = "You must use one kind of structured outputs constraint but none are specified";

const json::value* present(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value && !value->is_null() ? value : nullptr;
}

// "type" of a JSON schema, in the schema itself and in its properties and items.
MaybeError check_schema(const json::value& schema) {
  const json::object* object = schema.if_object();
  if (!object) return std::nullopt;
  const auto known = [](const json::value& type) {
    constexpr std::array<std::string_view, 7> kTypes = {"object",  "array",   "string", "number",
                                                        "integer", "boolean", "null"};
    for (std::string_view name : kTypes) {
      if (type.is_string() && type.get_string() == name) return true;
    }
    return false;
  };
  const auto bad = [](const json::value& type) {
    return bad_request(fmt::format("Grammar error: Invalid type: {}", python_summary(type)));
  };
  if (const json::value* type = present(*object, "type")) {
    if (const json::array* several = type->if_array()) {
      for (const json::value& one : *several) {
        if (!known(one)) return bad(one);
      }
    } else if (!known(*type)) {
      return bad(*type);
    }
  }
  if (const json::object* properties = get_object(*object, "properties")) {
    for (const auto& property : *properties) {
      if (MaybeError error = check_schema(property.value())) return error;
    }
  }
  const json::value* items = present(*object, "items");
  return items ? check_schema(*items) : std::nullopt;
}

MaybeError check_json(const json::value& schema) {
  if (!schema.is_string()) return check_schema(schema);
  auto parsed = parse_json({schema.get_string().data(), schema.get_string().size()});
  if (!parsed) return bad_request(fmt::format("Invalid JSON grammar specification: {}", parsed.error().message));
  return check_schema(*parsed);
}

// Brackets and quotes of a grammar text must match; everything deeper is the grammar engine's business.
MaybeError check_grammar(std::string_view text) {
  std::string open;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"' || c == '[') {  // a literal or a character class: up to its end, escapes skipped
      const char end = c == '"' ? '"' : ']';
      for (++i; i < text.size() && text[i] != end; ++i) i += text[i] == '\\';
      if (i >= text.size())
        return bad_request("Invalid grammar specification: a literal or character class is not closed.");
    } else if (c == '#') {
      while (i < text.size() && text[i] != '\n') ++i;
    } else if (c == '(') {
      open.push_back(c);
    } else if (c == ')') {
      if (open.empty()) return bad_request("Invalid grammar specification: unexpected ')'.");
      open.pop_back();
    }
  }
  if (!open.empty()) return bad_request("Invalid grammar specification: Expected ')' at the end.");
  if (text.find(':') == std::string_view::npos)
    return bad_request("Invalid grammar specification: no rule is defined.");
  return std::nullopt;
}

}  // namespace

MaybeError check_response_format(const json::object& object) {
  const json::object* format = get_object(object, "response_format");
  if (!format) return std::nullopt;
  const auto type = get_string(*format, "type");
  if (type == "json_schema" && !present(*format, "json_schema")) {
    return bad_parameter("When response_format type is 'json_schema', the 'json_schema' field must be provided.",
                         "response_format");
  }
  if (type == "structural_tag" && !present(*format, "format") &&
      !(present(*format, "structures") && present(*format, "triggers"))) {
    return bad_parameter("Invalid response_format structural_tag specification.", "response_format");
  }
  return std::nullopt;
}

MaybeError check_structured_outputs(const json::object& object, bool chat) {
  const json::object* outputs = get_object(object, "structured_outputs");
  if (!outputs) return std::nullopt;
  int kinds = 0;
  for (std::string_view kind : {"json", "regex", "choice"}) kinds += present(*outputs, kind) != nullptr;
  if (kinds > 1)
    return chat ? bad_request(std::string(kOneKindAtMost))
                : bad_parameter(std::string(kOneKindAtMost), "structured_outputs");
  if (const json::value* choice = object.if_contains("tool_choice"); chat && kinds > 0 && choice) {
    const bool plain = choice->is_string() && (choice->get_string() == "none" || choice->get_string() == "auto" ||
                                               choice->get_string() == "required");
    if (!plain) return bad_request("You can only either use constraints for structured outputs or tools, not both.");
  }
  return std::nullopt;
}

MaybeError refuse_structured_outputs(const json::object& object) {
  const json::object* outputs = get_object(object, "structured_outputs");
  const json::object* format = get_object(object, "response_format");
  const std::string type = format ? get_string(*format, "type").value_or("") : "";
  if (outputs) {
    int kinds = type.empty() || type == "text" ? 0 : 1;
    for (std::string_view kind : {"json", "regex", "choice", "grammar", "json_object", "structural_tag"})
      kinds += present(*outputs, kind) != nullptr;
    if (kinds == 0) return bad_request(std::string(kOneKind) + ".");
    if (kinds > 1)
      return bad_request("You can only use one kind of structured outputs constraint but multiple are specified.");
    if (const json::value* schema = present(*outputs, "json")) {
      if (MaybeError error = check_json(*schema)) return error;
    }
    if (auto regex = get_string(*outputs, "regex")) {
      if (auto wrong = regex_error(*regex))
        return bad_request(fmt::format("Grammar error: invalid regex {}: {}", python_repr(*regex), *wrong));
    }
    if (auto grammar = get_string(*outputs, "grammar")) {
      if (MaybeError error = check_grammar(*grammar)) return error;
    }
    if (const json::array* choice = get_array(*outputs, "choice"); choice && choice->empty())
      return bad_request("Choice cannot be empty.");
    return not_built("structured_outputs");
  }
  if (type.empty() || type == "text") return std::nullopt;
  if (type == "json_schema") {
    const json::object* schema = get_object(*format, "json_schema");
    const json::value* inner = schema ? present(*schema, "schema") : nullptr;
    if (!inner) return bad_request(std::string(kOneKind) + ".");
    if (MaybeError error = check_json(*inner)) return error;
  }
  return not_built("response_format", "type '" + type + "'");
}

}  // namespace vllm::api
