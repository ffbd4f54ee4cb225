// Falcon's split rule: runs of punctuation, GPT-2's words between them, and in all of those the digits of ByteLevel's
// spelling, of which ASCII ones go by threes. Some bytes of other characters count as digits there, so that words may
// start and end within a character.
#include <algorithm>

#include "text/tokenizer/split_scanner.h"
#include "text/tokenizer/splitters.h"

namespace vllm::text {
namespace {

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

struct Falcon : Scanner<kPunctuation> {
  using Scanner::Scanner;

  // Every choice needs the character at `pos` and what follows it only, so that a run of words is cut in linear time.
  size_t next(size_t pos) const {
    size_t start = pos, after;
    while ((static_cast<unsigned char>(byte(start)) & 0xC0) == 0x80) --start;
    int cls = at(start, after);
    if (is_numeric_byte(static_cast<unsigned char>(byte(pos)))) return digits(pos, after, cls);
    size_t first = start;  // of the characters that are of the word's class
    if (byte(pos) == ' ' && !ends(after)) {
      size_t end;
      const int second = at(after, end);
      if ((second & kSpace) == 0) {
        cls = second;
        first = after;
      }
    }
    if (cls & kLetter) return letters(pos, first);
    if (cls & kSpace) return blanks(pos, run(pos, kSpace));  // none of their bytes counts as a digit
    if (const int same = cls & (kNumber | kPunctuation))
      return word(pos, first, [&](int c) { return (c & same) != 0; });
    return word(pos, first, [](int c) { return (c & (kSpace | kLetter | kNumber | kPunctuation)) == 0; });
  }

 private:
  // From a digit at `pos` in a character that ends at `after`.
  size_t digits(size_t pos, size_t after, int cls) const {
    const bool ascii = is_ascii_digit(byte(pos));
    if (!ascii) {
      do ++pos;
      while (pos < after && is_numeric_byte(static_cast<unsigned char>(byte(pos))));
      if (pos < after || (cls & kNumber) == 0) return pos;  // only a number goes on with ASCII digits
    }
    size_t end = pos;
    while (end < pos + 3 && is_ascii_digit(byte(end))) ++end;
    return !ascii && end == pos + 3 ? pos : end;
  }
  // The first byte after `pos` of the character [begin, end) that counts as a digit, or `end`.
  size_t cut(size_t pos, size_t begin, size_t end) const {
    for (size_t i = std::max(pos + 1, begin); i < end; ++i) {
      if (is_numeric_byte(static_cast<unsigned char>(byte(i)))) return i;
    }
    return end;
  }
  // The end of a word from `pos` on: its characters from `next` on are those that `belongs` takes.
  template <typename Belongs>
  size_t word(size_t pos, size_t next, Belongs belongs) const {
    for (size_t after; next < size() && belongs(at(next, after)); next = after) {
      if (const size_t end = cut(pos, next, after); end < after) return end;
    }
    return next;
  }
  size_t letters(size_t pos, size_t next) const {
    for (size_t after;;) {
      next = static_cast<size_t>(skip_ascii_letters(text_.data() + next, text_.data() + size()) - text_.data());
      if (next >= size() || (at(next, after) & kLetter) == 0) return next;
      if (const size_t end = cut(pos, next, after); end < after) return end;
      next = after;
    }
  }
};

}  // namespace

bool is_numeric_byte(unsigned char byte) {
  return (byte >= '0' && byte <= '9') || byte == 0xB2 || byte == 0xB3 || byte == 0xB9 || (byte >= 0xBC && byte <= 0xBE);
}

size_t split_falcon(std::string_view text, size_t pos, std::span<uint32_t> ends) {
  return split_by<Falcon>(text, pos, ends);
}

}  // namespace vllm::text
