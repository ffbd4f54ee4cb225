// Bodies of /tokenize (a union of two shapes), /detokenize and of the endpoints that are not built.
#include <cstdint>
#include <string_view>

#include "api/json_body.h"
#include "api/requests.h"
#include "api/unbuilt.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vllm::api;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)unbuilt_endpoint("POST", "/v1/messages", "application/json", text).body();
  auto body = parse_body(text, "application/json");
  if (!body) return 0;
  if (auto request = parse_detokenize(*body); !request) (void)request.error().body();
  if (auto request = parse_tokenize(std::move(*body)); !request) (void)request.error().body();
  return 0;
}
