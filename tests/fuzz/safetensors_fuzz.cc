// Any bytes as a safetensors file: parsed or refused, and every tensor that is handed out can be read.
#include "hub/checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto tensors = vllm::parse_safetensors(std::as_bytes(std::span(data, size)));
  if (!tensors) return 0;
  unsigned sum = 0;
  for (const auto& tensor : *tensors) {
    if (!tensor.data.empty())
      sum += std::to_integer<unsigned>(tensor.data.front()) + std::to_integer<unsigned>(tensor.data.back());
  }
  return sum == ~0u ? -1 : 0;
}
