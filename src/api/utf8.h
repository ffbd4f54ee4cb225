#pragma once
// The little UTF-8 that the API layer needs: walking characters and counting them, with ill-formed input as a
// first-class case.
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace vllm::api {

struct Utf8Char {
  size_t length = 1;  // bytes taken: of the character, or of the maximal ill-formed part (at least 1)
  bool valid = false;
  char32_t code = 0xFFFD;
};

/// The first character of `text`, which is not empty.
Utf8Char decode_utf8(std::string_view text);
/// Characters in `text`; each maximal ill-formed part counts as one (it reads as U+FFFD).
size_t count_chars(std::string_view text);
/// Bytes of the first `num_chars` characters, or of all if there are fewer.
size_t utf8_prefix_bytes(std::string_view text, size_t num_chars);

}  // namespace vllm::api
