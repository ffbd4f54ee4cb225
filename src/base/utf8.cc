#include "base/utf8.h"

#include <cstdint>
#include <cstring>

namespace vllm {

Utf8Step next_utf8(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {Utf8State::kChar, 1};
  if (lead < 0xC2 || lead > 0xF4) return {Utf8State::kBad, 1};
  const size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // Only the second byte's range depends on the lead: no overlong forms, no surrogates, nothing past U+10FFFF.
  unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  for (size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {Utf8State::kUnfinished, i};
    if (byte(i) < low || byte(i) > high) return {Utf8State::kBad, i};
    low = 0x80;
    high = 0xBF;
  }
  return {Utf8State::kChar, length};
}

size_t valid_utf8_prefix(std::string_view text) {
  size_t pos = 0;
  while (pos < text.size()) {
    uint64_t word;
    if (text.size() - pos >= sizeof word) {  // eight ASCII bytes at once
      std::memcpy(&word, text.data() + pos, sizeof word);
      if ((word & 0x8080808080808080u) == 0) {
        pos += sizeof word;
        continue;
      }
    }
    // Runs of characters of three bytes whose second byte has no narrower range, as Chinese and Japanese are.
    while (text.size() - pos >= 3) {
      const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[pos + i]); };
      if (byte(0) < 0xE1 || byte(0) > 0xEC || (byte(1) & 0xC0) != 0x80 || (byte(2) & 0xC0) != 0x80) break;
      pos += 3;
    }
    if (pos == text.size()) break;
    const Utf8Step step = next_utf8(text.substr(pos));
    if (step.state != Utf8State::kChar) return pos;
    pos += step.length;
  }
  return pos;
}

size_t count_chars(std::string_view text) {
  size_t count = 0;
  for (size_t i = 0; i < text.size(); ++count)
    i += static_cast<uint8_t>(text[i]) < 0x80 ? 1 : next_utf8(text.substr(i)).length;
  return count;
}

size_t utf8_prefix_bytes(std::string_view text, size_t num_chars) {
  size_t i = 0;
  for (size_t n = 0; n < num_chars && i < text.size(); ++n) i += next_utf8(text.substr(i)).length;
  return i;
}

}  // namespace vllm
