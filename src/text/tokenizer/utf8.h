#pragma once
// UTF-8 beyond base/utf8.h: decoding, encoding, and repair by U+FFFD per maximal bad part, as Python's errors="replace"
// does it.
#include <cstddef>
#include <string>
#include <string_view>

#include "base/utf8.h"

namespace vllm::text {

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

/// Copy `text` with every maximal ill-formed part replaced by U+FFFD.
std::string repair_utf8(std::string_view text);

/// Read the character at `pos` of well-formed text and move `pos` past it.
inline char32_t read_char(std::string_view text, size_t& pos) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[pos + i]); };
  const char32_t lead = byte(0);
  if (lead < 0x80) return ++pos, lead;
  char32_t code;
  if (lead < 0xE0) {
    code = (lead & 0x1F) << 6 | (byte(1) & 0x3F);
    pos += 2;
  } else if (lead < 0xF0) {
    code = (lead & 0x0F) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3F);
    pos += 3;
  } else {
    code = (lead & 0x07) << 18 | (byte(1) & 0x3Fu) << 12 | (byte(2) & 0x3Fu) << 6 | (byte(3) & 0x3F);
    pos += 4;
  }
  return code;
}
/// Where the character before `pos` (> 0) starts in well-formed text.
inline size_t previous_char(std::string_view text, size_t pos) {
  do --pos;
  while ((static_cast<unsigned char>(text[pos]) & 0xC0) == 0x80);
  return pos;
}
void append_char(std::string& out, char32_t code);

}  // namespace vllm::text
