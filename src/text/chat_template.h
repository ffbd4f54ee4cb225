#pragma once
// Chat templates: Jinja as transformers' apply_chat_template runs it (trim_blocks, lstrip_blocks, loop controls,
// tojson without HTML escaping, raise_exception, strftime_now; sandboxed). Bounded in time, memory and depth.
#include <memory>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/result.h"

namespace vllm::text {

struct TemplateLimits {
  int64_t max_steps = 20'000'000;  // evaluated nodes
  size_t max_output_bytes = size_t{64} << 20;
  size_t max_memory_bytes = size_t{256} << 20;  // live strings and lists of one rendering, its input not counted
  int max_depth = 200;  // nesting of expressions and blocks; 8 times as many nodes deep while running
};

class ChatTemplate {
 public:
  /// Compile; kInvalidArgument names the line and what is wrong.
  static Result<ChatTemplate> compile(std::string_view source, const TemplateLimits& limits = {});
  /// Render with the given variables: messages, tools, documents, add_generation_prompt, bos_token, eos_token and the
  /// chat_template_kwargs, as a JSON object (key order is kept and shows in tojson). Const and thread-safe.
  /// `now_s` is the clock of strftime_now: Unix seconds; the zone is TZ's. A template's own raise_exception(m) gives
  /// kInvalidArgument with message m.
  Result<std::string> render(const json::object& variables, double now_s) const;
  const std::string& source() const;
  /// True if the template reads the variable at all (`tools`, `enable_thinking`): decides what a server may pass.
  bool mentions(std::string_view variable) const;
  /// vLLM's --chat-template-content-format auto: "openai" if the template loops over message['content'], else "string".
  std::string_view content_format() const;

 private:
  struct Impl;
  std::shared_ptr<const Impl> impl_;
};

/// Built-in template for a checkpoint that has none: by architecture ("LlamaForCausalLM"), model type and special
/// tokens present in its vocabulary; empty if no chat format is known (a base model).
std::string_view builtin_chat_template(std::string_view model_type, std::string_view name_hint);

}  // namespace vllm::text
