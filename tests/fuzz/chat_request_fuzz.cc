// Bodies of /v1/chat/completions, up to the conversation that a template is given.
#include <cstdint>
#include <string_view>

#include "api/json_body.h"
#include "api/messages.h"
#include "api/sampling.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vllm::api;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto body = parse_body(text, "application/json");
  if (!body) return 0;
  auto request = parse_chat_completion(std::move(*body));
  if (!request) {
    (void)request.error().body();
    return 0;
  }
  (void)to_sampling(*request, 5, ModelLimits{.max_model_len = 128, .vocab_size = 1000});
  for (std::string_view format : {"string", "openai"}) {
    auto conversation = to_conversation(request->messages, format, "m");
    if (conversation) developer_to_system(*conversation);
  }
  return 0;
}
