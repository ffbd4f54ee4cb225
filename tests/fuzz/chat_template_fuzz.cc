// Any bytes as a template over fixed variables, with small limits: it ends soon, in text or in an error value.
#include <cstdint>
#include <string_view>

#include "text/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const vllm::json::object variables = vllm::parse_json(R"({
    "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "日本 é"}]},
                 {"role": "assistant", "content": null, "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": {"x": 1.5}}}]}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"x": {"type": "number"}}}}}],
    "add_generation_prompt": true, "bos_token": "<s>", "n": -3, "words": ["b", "A", "c"]})")
                                                  ->as_object();
  if (size > 4096) return 0;
  vllm::text::TemplateLimits limits{
      .max_steps = 20'000, .max_output_bytes = 1 << 16, .max_memory_bytes = 1 << 20, .max_depth = 60};
  auto compiled = vllm::text::ChatTemplate::compile({reinterpret_cast<const char*>(data), size}, limits);
  if (!compiled) return 0;
  (void)compiled->content_format();
  (void)compiled->mentions("tools");
  auto text = compiled->render(variables, 1763718600);
  if (text && text->size() > limits.max_output_bytes) __builtin_trap();
  return 0;
}
