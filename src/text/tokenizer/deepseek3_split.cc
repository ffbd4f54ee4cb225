// DeepSeek V3's split rule.
#include "text/tokenizer/split_scanner.h"
#include "text/tokenizer/splitters.h"

namespace vllm::text {
namespace {

// Numbers by threes, then runs of Chinese and Japanese, then words in what is left. Characters that no alternative
// matches (controls, unassigned) stand together until one does.
struct Deepseek3 : Scanner<kNumber | kKana> {
  using Scanner::Scanner;
  static constexpr int kPunct = kPunctuation | kSymbol;

  size_t match(size_t pos) const {  // the end of a match at `pos`, or `pos`
    size_t after;
    const int cls = at(pos, after);
    if ((cls & kPunct) != 0 && static_cast<unsigned char>(byte(pos)) < 0x80 &&
        is_ascii_letter(static_cast<unsigned char>(byte(after)))) {
      while (is_ascii_letter(static_cast<unsigned char>(byte(after)))) ++after;
      return after;
    }
    if (cls & (kLetter | kMark)) return run_letters(pos, kLetter | kMark);
    if ((cls & kPunct) == 0 && !newline(pos) && is(after, kLetter | kMark)) return run_letters(after, kLetter | kMark);
    if (cls & kPunct) return run_newlines(run(pos, kPunct));
    if (byte(pos) == ' ') {
      if (const size_t end = run(after, kPunct); end > after) return run_newlines(end);
    }
    return (cls & kSpace) != 0 ? blanks_with_newlines(pos) : pos;
  }
  size_t next(size_t pos) const {
    size_t after;
    const int cls = at(pos, after);
    if (cls & kNumber) return run(pos, kNumber, 3);
    if (cls & kKana) return run(pos, kKana);
    if (const size_t end = match(pos); end > pos) return end;
    for (pos = after; !ends(pos); pos = after) {
      if (match(pos) > pos) break;
      at(pos, after);
    }
    return pos;
  }
};
}  // namespace

size_t split_deepseek3(std::string_view text, size_t pos, std::span<uint32_t> ends) {
  return split_by<Deepseek3>(text, pos, ends);
}

}  // namespace vllm::text
