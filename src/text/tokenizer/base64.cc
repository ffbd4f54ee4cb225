#include "text/tokenizer/base64.h"

#include <array>
#include <cstdint>

namespace vllm::text {
namespace {

constexpr std::array<int8_t, 256> kValues = [] {
  std::array<int8_t, 256> out{};
  for (auto& value : out) value = -1;
  const std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < digits.size(); ++i) out[static_cast<unsigned char>(digits[i])] = static_cast<int8_t>(i);
  return out;
}();

}  // namespace

bool from_base64(std::string_view text, std::string& bytes) {
  bytes.clear();
  if (text.size() % 4 != 0) return false;
  for (size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    const size_t digits = last && text[i + 3] == '=' ? (text[i + 2] == '=' ? 2 : 3) : 4;
    uint32_t group = 0;
    for (size_t k = 0; k < 4; ++k) {
      const int value = k < digits ? kValues[static_cast<unsigned char>(text[i + k])] : 0;
      if (value < 0) return false;
      group = group << 6 | static_cast<uint32_t>(value);
    }
    bytes += static_cast<char>(group >> 16);
    if (digits > 2) bytes += static_cast<char>(group >> 8 & 0xFF);
    if (digits > 3) bytes += static_cast<char>(group & 0xFF);
  }
  return true;
}

}  // namespace vllm::text
