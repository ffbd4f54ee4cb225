#include "text/tokenizer/utf8.h"

#include <cstdint>
#include <cstring>

namespace vllm::text {

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

std::string repair_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 16);
  while (!text.empty()) {
    const size_t good = valid_utf8_prefix(text);
    out += text.substr(0, good);
    text.remove_prefix(good);
    if (text.empty()) break;
    out += kReplacement;
    text.remove_prefix(next_utf8(text).length);
  }
  return out;
}

void append_char(std::string& out, char32_t code) {
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | code >> 6);
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | code >> 12);
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | code >> 18);
    out += static_cast<char>(0x80 | (code >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (code >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

}  // namespace vllm::text
