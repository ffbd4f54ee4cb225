// Bodies of /v1/completions, /tokenize and /detokenize: whatever the bytes, an answer or an error, never a crash.
#include <cstdint>
#include <string_view>

#include "api/json_body.h"
#include "api/sampling.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vllm::api;
  std::string_view text(reinterpret_cast<const char*>(data), size);
  auto body = parse_body(text, "application/json");
  if (!body) {
    (void)body.error().body();
    return 0;
  }
  const ModelLimits limits{.max_model_len = 128, .vocab_size = 1000};
  auto request = parse_completion(*body);
  if (request) {
    auto sampling = to_sampling(*request, 5, limits);
    if (!sampling) (void)sampling.error().body();
  } else {
    (void)request.error().body();
  }
  (void)parse_tokenize(*body);
  (void)parse_detokenize(std::move(*body));
  return 0;
}
