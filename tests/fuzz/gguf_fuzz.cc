// Any bytes as a GGUF file: parsed or refused, and every tensor that is handed out can be read.
#include "hub/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto file = vllm::GgufFile::parse(std::as_bytes(std::span(data, size)));
  if (!file) return 0;
  unsigned sum = 0;
  for (const auto& tensor : file->tensors()) {
    if (!tensor.data.empty())
      sum += std::to_integer<unsigned>(tensor.data.front()) + std::to_integer<unsigned>(tensor.data.back());
  }
  for (const auto& [key, value] : file->metadata()) {
    if (const auto* text = std::get_if<std::string_view>(&value); text && !text->empty())
      sum += static_cast<unsigned>(text->back());
  }
  return sum == ~0u ? -1 : 0;
}
