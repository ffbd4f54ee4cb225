#include "api/messages.h"

#include <array>

#include "api/json_text.h"

namespace vllm::api {
namespace {

struct MessageKind {
  std::string_view name, role;
};
// The members of vLLM's message union, in its order; each reports a message that fits none.
constexpr std::array<MessageKind, 8> kKinds = {{{"ChatCompletionDeveloperMessageParam", "developer"},
                                                {"ChatCompletionSystemMessageParam", "system"},
                                                {"ChatCompletionUserMessageParam", "user"},
                                                {"ChatCompletionAssistantMessageParam", "assistant"},
                                                {"ChatCompletionToolMessageParam", "tool"},
                                                {"ChatCompletionFunctionMessageParam", "function"},
                                                {"CustomChatCompletionMessageParam", ""},
                                                {"Message", ""}}};

void report_not_object(const json::value& message, std::string_view loc, Issues& issues) {
  for (const MessageKind& kind : kKinds) {
    const bool model = kind.name == "Message";
    issues.add(model ? "model_attributes_type" : "dict_type", fmt::format("{}.{}", loc, kind.name),
               model ? "Input should be a valid dictionary or object to extract fields from"
                     : "Input should be a valid dictionary",
               message);
  }
}

bool may_be_null(const MessageKind& kind) { return kind.role == "assistant" || kind.role == "function"; }

// A message that fits no member of the union: what each of them misses, in the order of their fields.
void report_message(const json::value& message, std::string_view loc, Issues& issues) {
  const json::object& object = message.get_object();
  const json::value* role = object.if_contains("role");
  const json::value* content = object.if_contains("content");
  const bool walkable = !content || content->is_string() || content->is_array();
  for (const MessageKind& kind : kKinds) {
    const std::string at = fmt::format("{}.{}", loc, kind.name);
    if (kind.name == "Message") {
      issues.missing(at + ".author", message);
      issues.add("model_attributes_type", at, "Input should be a valid message", message);
      continue;
    }
    if (!walkable && !(content->is_null() && may_be_null(kind))) {
      issues.add("string_type", at + ".content", "Input should be a valid string", *content);
      if (kind.role != "function") issues.add("iterable_type", at + ".content", "Input should be iterable", *content);
    }
    if (kind.role == "function" && !object.contains("name")) issues.missing(at + ".name", message);
    if (!role) {
      issues.missing(at + ".role", message);
    } else if (kind.role.empty()) {
      coerce_string(*role, at + ".role", issues);
    } else {
      coerce_choice(*role, at + ".role", kind.role, issues);
    }
    if (kind.role == "tool" && !object.contains("tool_call_id")) issues.missing(at + ".tool_call_id", message);
  }
}

MaybeError not_iterable(std::string_view python_type) {
  return bad_request(fmt::format("'{}' object is not iterable", python_type));
}

// The Python type of a JSON value that can't be iterated; empty for lists, objects and strings.
std::string_view scalar_type(const json::value& value) {
  if (value.is_null()) return "NoneType";
  if (value.is_bool()) return "bool";
  if (value.is_int64() || value.is_uint64()) return "int";
  if (value.is_double()) return "float";
  return {};
}

}  // namespace

MaybeError check_messages_iterable(const json::object& body) {
  const json::value* messages = body.if_contains("messages");
  if (!messages) return std::nullopt;
  if (auto type = scalar_type(*messages); !type.empty()) return not_iterable(type);
  if (!messages->is_array()) return std::nullopt;
  for (const json::value& message : messages->get_array()) {
    const json::value* calls = message.is_object() ? message.get_object().if_contains("tool_calls") : nullptr;
    if (calls && !calls->is_null() && !scalar_type(*calls).empty()) return not_iterable(scalar_type(*calls));
  }
  return std::nullopt;
}

void read_messages(json::value& value, RequestBase& request, const Field&, std::string_view loc, Issues& issues) {
  if (!value.is_array()) {
    issues.add("list_type", loc, "Input should be a valid list", value);
    return;
  }
  json::array& messages = value.get_array();
  for (size_t i = 0; i < messages.size(); ++i) {
    const json::value& message = messages[i];
    const auto at = [&] { return fmt::format("{}.{}", loc, i); };
    if (!message.is_object()) {
      report_not_object(message, at(), issues);
      continue;
    }
    const json::value* role = message.get_object().if_contains("role");
    const json::value* content = message.get_object().if_contains("content");
    const bool only_calls = role && (*role == "assistant" || *role == "function");  // a turn without a text
    const bool content_fits =
        !content || content->is_string() || content->is_array() || (content->is_null() && only_calls);
    if (!role || !role->is_string() || !content_fits) report_message(message, at(), issues);
  }
  static_cast<ChatInput&>(request).messages = std::move(messages);
}

void read_tools(json::value& value, RequestBase& request, const Field&, std::string_view loc, Issues& issues) {
  if (!value.is_array()) {
    issues.add("list_type", loc, "Input should be a valid list", value);
    return;
  }
  constexpr std::string_view kNoObject = "Input should be a valid dictionary or object to extract fields from";
  json::array tools;
  json::array& given = value.get_array();
  for (size_t i = 0; i < given.size(); ++i) {
    const std::string at = fmt::format("{}.{}", loc, i);
    const json::object* tool = given[i].if_object();
    if (!tool) {
      issues.add("model_attributes_type", at, kNoObject, given[i]);
      continue;
    }
    if (const json::value* type = tool->if_contains("type")) coerce_choice(*type, at + ".type", "function", issues);
    const json::value* function = tool->if_contains("function");
    if (!function) {
      issues.missing(at + ".function", given[i]);
      continue;
    }
    const std::string inside = at + ".function";
    if (!function->is_object()) {
      issues.add("model_attributes_type", inside, kNoObject, *function);
      continue;
    }
    json::object kept;
    const json::object& f = function->get_object();
    for (std::string_view key : {"name", "description", "parameters", "strict", "defer_loading"}) {
      const json::value* item = f.if_contains(key);
      const std::string item_loc = fmt::format("{}.{}", inside, key);
      if (key == "name" && !item) {
        issues.missing(item_loc, *function);
        continue;
      }
      if (!item || item->is_null()) {
        if (key == "name") coerce_string(*item, item_loc, issues);
        if (key == "description" || key == "parameters") kept[key] = nullptr;
        continue;
      }
      if (key == "name" || key == "description") coerce_string(*item, item_loc, issues);
      if (key == "parameters") coerce_object(*item, item_loc, issues);
      if (key == "strict" || key == "defer_loading") coerce_bool(*item, item_loc, issues);
      kept[key] = *item;
    }
    tools.push_back(json::object{{"type", "function"}, {"function", std::move(kept)}});
  }
  static_cast<ChatInput&>(request).tools = std::move(tools);
}

}  // namespace vllm::api
