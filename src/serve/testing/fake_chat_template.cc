// ChatML in place of the template engine, for tests of what happens around it.
#include "text/chat_template.h"

namespace vllm::text {

struct ChatTemplate::Impl {
  std::string source;
};

Result<ChatTemplate> ChatTemplate::compile(std::string_view source, const TemplateLimits&) {
  if (source.find("{% oops") != std::string_view::npos) return invalid_argument("line 1: unknown tag 'oops'");
  ChatTemplate out;
  out.impl_ = std::make_shared<Impl>(Impl{std::string(source)});
  return out;
}

Result<std::string> ChatTemplate::render(const json::object& variables, double) const {
  std::string out;
  const auto text = [](const json::value& value) -> std::string {
    if (value.is_string()) return std::string(value.get_string());
    std::string joined;
    if (value.is_array()) {
      for (const json::value& part : value.get_array()) joined += std::string(part.at("text").as_string()) + "|";
    }
    return joined;
  };
  if (variables.at("tools").is_array())
    out += "<|im_start|>tools\n" + json::serialize(variables.at("tools")) + "<|im_end|>\n";
  for (const json::value& message : variables.at("messages").as_array()) {
    const json::object& m = message.as_object();
    if (m.at("role") == "explode") return invalid_argument("Unknown role: explode");
    out += "<|im_start|>" + text(m.at("role")) + "\n" + text(m.at("content"));
    if (const json::value* calls = m.if_contains("tool_calls")) out += json::serialize(*calls);
    out += "<|im_end|>\n";
  }
  for (const auto& [key, value] : variables) {
    if (impl_->source.find("{{" + std::string(key) + "}}") != std::string::npos)
      out += "[" + std::string(key) + "=" + json::serialize(value) + "]";
  }
  if (variables.at("add_generation_prompt").as_bool()) out += "<|im_start|>assistant\n";
  return out;
}

const std::string& ChatTemplate::source() const { return impl_->source; }
bool ChatTemplate::mentions(std::string_view variable) const {
  return impl_->source.find(variable) != std::string::npos;
}
std::string_view ChatTemplate::content_format() const { return impl_->source == "openai" ? "openai" : "string"; }

}  // namespace vllm::text
