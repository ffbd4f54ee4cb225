#include "api/utf8.h"

namespace vllm::api {

Utf8Char decode_utf8(std::string_view text) {
  const auto at = [&](size_t i) { return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0}; };
  const uint8_t lead = at(0);
  if (lead < 0x80) return {1, true, lead};
  // Table 3-7 of the Unicode standard: the second byte's range rules out overlong forms, surrogates and codes over
  // 10FFFF.
  size_t length = 0;
  uint8_t low = 0x80, high = 0xBF;
  char32_t code = 0;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2, code = lead & 0x1Fu;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3, code = lead & 0x0Fu;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4, code = lead & 0x07u;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {};
  }
  for (size_t i = 1; i < length; ++i) {
    const uint8_t byte = at(i);
    if (i >= text.size() || byte < low || byte > high) return {i, false, 0xFFFD};
    low = 0x80, high = 0xBF;
    code = (code << 6) | (byte & 0x3Fu);
  }
  return {length, true, code};
}

size_t count_chars(std::string_view text) {
  size_t count = 0;
  for (size_t i = 0; i < text.size(); ++count)
    i += static_cast<uint8_t>(text[i]) < 0x80 ? 1 : decode_utf8(text.substr(i)).length;
  return count;
}

size_t utf8_prefix_bytes(std::string_view text, size_t num_chars) {
  size_t i = 0;
  for (size_t n = 0; n < num_chars && i < text.size(); ++n) i += decode_utf8(text.substr(i)).length;
  return i;
}

}  // namespace vllm::api
