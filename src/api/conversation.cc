// to_conversation: what a chat template sees of a request's messages.
#include <algorithm>
#include <array>

#include "api/json_text.h"
#include "api/messages.h"

namespace vllm::api {
namespace {

constexpr std::array<std::string_view, 5> kTextParts = {"text", "input_text", "output_text", "refusal", "thinking"};
constexpr std::array<std::string_view, 11> kMediaParts = {
    "image_url",    "image_pil", "image_embeds", "input_image",   "audio_url", "input_audio",
    "audio_embeds", "video_url", "video_embeds", "prompt_embeds", "video"};

std::string_view view(const json::string& text) { return {text.data(), text.size()}; }

template <size_t N>
bool contains(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// One content part: appends to `parts` the dict a template sees, or nothing where the part is empty.
MaybeError add_part(const json::value& part, std::string_view model, json::array& parts) {
  const json::object* object = part.if_object();
  if (!object) return bad_request("A content part must be an object with a 'type'.");
  const json::value* type_value = object->if_contains("type");
  std::string_view type;
  if (type_value && type_value->is_string()) type = view(type_value->get_string());
  if (!type_value || type_value->is_null()) {
    for (std::string_view media : kMediaParts) {
      if (object->contains(media)) type = media;
    }
    if (type.empty()) return bad_request("Missing 'type' field in a content part.");
  }
  if (contains(kTextParts, type)) {
    const std::string_view key = type == "refusal" || type == "thinking" ? type : std::string_view("text");
    const json::value* text = object->if_contains(key);
    if (text && text->is_null() && key == "refusal") return std::nullopt;
    if (!text || !text->is_string())
      return bad_request(fmt::format("A content part of type '{}' must have a string '{}'.", type, key));
    parts.push_back(json::object{{"type", "text"}, {"text", text->get_string()}});
    return std::nullopt;
  }
  if (contains(kMediaParts, type)) {
    if (!object->contains(type))
      return bad_request(fmt::format("A content part of type '{}' must have a '{}'.", type, type));
    return bad_request(fmt::format("{} is not a multimodal model", model));
  }
  if (type == "tool_reference") {
    const json::value* name = object->if_contains("name");
    parts.push_back(json::object{{"type", "tool_reference"}, {"name", name ? *name : json::value("")}});
    return std::nullopt;
  }
  ApiError error = bad_request(fmt::format("Unsupported chat content part type: {}.", python_repr(type)));
  return error;
}

std::string join_texts(const json::array& parts) {
  std::string out;
  bool first = true;
  for (const json::value& part : parts) {
    const json::object& object = part.get_object();
    const json::value* text = object.if_contains("text");
    if (!text) text = object.if_contains("name");
    if (!first) out += '\n';
    first = false;
    if (text && text->is_string()) out += view(text->get_string());
  }
  return out;
}

// Arguments become an object: templates walk them. What is no JSON object becomes an empty one, so that a bad turn in
// the history does not end the conversation.
MaybeError normalize_tool_calls(json::array& calls) {
  for (size_t i = 0; i < calls.size(); ++i) {
    json::object* call = calls[i].if_object();
    if (!call) return bad_parameter("assistant tool_calls entries must be objects.", "tool_calls");
    json::value* function = call->if_contains("function");
    const json::value* type = call->if_contains("type");
    if (!function && !call->contains("custom")) {
      const std::string at = fmt::format("body.{}.ChatCompletionMessageFunctionToolCallParam", i);
      return schema_error({{"missing", at + ".function", "Field required", python_summary(calls[i]), {}}});
    }
    if (!function || !function->is_object() || (type && !(type->is_string() && type->get_string() == "function"))) {
      return bad_parameter("chat completions only support assistant tool_calls of type 'function'.", "tool_calls");
    }
    json::value& arguments = function->get_object()["arguments"];
    if (arguments.is_string()) {
      auto parsed = parse_json(view(arguments.get_string()));
      arguments = parsed && parsed->is_object() ? std::move(*parsed) : json::value(json::object());
    } else if (!arguments.is_object()) {
      arguments = json::object();
    }
  }
  return std::nullopt;
}

}  // namespace

ApiResult<json::array> to_conversation(json::array messages, std::string_view content_format, std::string_view model) {
  const bool keep_parts = content_format == "openai";
  json::array conversation;
  conversation.reserve(messages.size());
  for (json::value& value : messages) {
    json::object& message = value.get_object();
    const std::string role(view(message["role"].get_string()));
    json::array parts;
    json::value& content = message["content"];
    if (content.is_string()) {
      parts.push_back(json::object{{"type", "text"}, {"text", content.get_string()}});
    } else if (content.is_array()) {
      for (const json::value& part : content.get_array()) {
        if (MaybeError error = add_part(part, model, parts)) return std::move(*error);
      }
    }
    json::object out;
    out["role"] = role;
    const bool only_text = std::all_of(parts.begin(), parts.end(),
                                       [](const json::value& part) { return part.get_object().contains("text"); });
    if (keep_parts && !(role == "tool" && only_text)) {
      out["content"] = std::move(parts);
    } else {
      out["content"] = join_texts(parts);
    }
    if (role == "assistant") {
      if (json::array* calls = message["tool_calls"].if_array(); calls && !calls->empty()) {
        if (MaybeError error = normalize_tool_calls(*calls)) return std::move(*error);
        out["tool_calls"] = std::move(*calls);
      }
      json::value reasoning = message["reasoning"];
      if (reasoning.is_null()) reasoning = message["reasoning_content"];
      if (!reasoning.is_null()) out["reasoning"] = reasoning, out["reasoning_content"] = reasoning;
    }
    if (role == "tool" && message.contains("tool_call_id")) out["tool_call_id"] = message["tool_call_id"];
    if (const json::value* name = message.if_contains("name"); name && name->is_string()) out["name"] = *name;
    if (role == "developer") {
      const json::value* tools = message.if_contains("tools");
      out["tools"] = tools ? *tools : json::value(nullptr);
    }
    conversation.push_back(std::move(out));
  }
  return conversation;
}

void developer_to_system(json::array& conversation) {
  bool any = false;
  for (json::value& value : conversation) {
    json::object& message = value.get_object();
    if (view(message.at("role").get_string()) != "developer") continue;
    message["role"] = "system";
    message.erase("tools");
    any = true;
  }
  if (!any) return;
  const auto is_system = [](const json::value& message) { return message.get_object().at("role") == "system"; };
  const auto count = std::count_if(conversation.begin(), conversation.end(), is_system);
  if (count == 1 && is_system(conversation.front())) return;
  std::string merged;
  json::array others;
  for (json::value& message : conversation) {
    if (!is_system(message)) {
      others.push_back(std::move(message));
      continue;
    }
    const json::value& content = message.get_object().at("content");
    const std::string text =
        content.is_array() ? join_texts(content.get_array()) : std::string(view(content.get_string()));
    if (!text.empty() && !merged.empty()) merged += "\n\n";
    merged += text;
  }
  others.insert(others.begin(), json::object{{"role", "system"}, {"content", merged}});
  conversation = std::move(others);
}

}  // namespace vllm::api
