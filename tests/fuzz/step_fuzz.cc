// Bytes of a step value: decode never crashes or allocates beyond the input, and what decodes encodes to the same
// bytes.
#include "base/check.h"
#include "engine/step.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  using namespace vllm::engine;
  if (auto v = decode_step_input(bytes)) CHECK(encode(*v) == bytes);
  if (auto v = decode_sample_input(bytes)) CHECK(encode(*v) == bytes);
  if (auto v = decode_step_result(bytes)) CHECK(encode(*v) == bytes);
  return 0;
}
