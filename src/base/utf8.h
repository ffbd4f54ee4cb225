#pragma once
// UTF-8: walking and counting characters, with ill-formed input as a first-class case.
#include <cstddef>
#include <string_view>

namespace vllm {

enum class Utf8State {
  kChar,        // a whole character
  kBad,         // bytes that no character starts with: one U+FFFD
  kUnfinished,  // the text ends within a character that is well-formed so far
};
struct Utf8Step {
  Utf8State state;
  size_t length;  // bytes of the character, or of the maximal bad or unfinished part; at least 1
};
/// Look at the start of `text`, which is not empty and may hold any bytes.
Utf8Step next_utf8(std::string_view text);

/// Bytes from the start of `text` that are well-formed.
size_t valid_utf8_prefix(std::string_view text);
inline bool is_utf8(std::string_view text) { return valid_utf8_prefix(text) == text.size(); }
/// Characters in `text`; each maximal ill-formed part counts as one (it reads as U+FFFD).
size_t count_chars(std::string_view text);
/// Bytes of the first `num_chars` characters, or of all if there are fewer.
size_t utf8_prefix_bytes(std::string_view text, size_t num_chars);

}  // namespace vllm
