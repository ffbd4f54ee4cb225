#pragma once
// What the hand-written split rules read a text with.
#include <cstdint>
#include <span>
#include <string_view>

#include "text/tokenizer/ascii_run.h"
#include "text/tokenizer/unicode.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {

/// A cursor over well-formed text with the classes of its characters. Characters of `Fence` classes end the text: some
/// rules cut those out first, so that what lies between them is split as a text of its own.
template <int Fence = 0>
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text), classes_(CharClasses::get()) {}

  size_t size() const { return text_.size(); }
  char byte(size_t pos) const { return pos < text_.size() ? text_[pos] : '\0'; }
  bool newline(size_t pos) const { return byte(pos) == '\n' || byte(pos) == '\r'; }
  /// Class of the character at `pos`, which must lie inside the text; `next` is where the one after it starts.
  int at(size_t pos, size_t& next) const {
    next = pos;
    const int found = classes_[read_char(text_, next)];
    return Fence != 0 && (found & Fence) != 0 ? found & Fence : found;
  }
  /// The text ends here, or something that is cut out starts.
  bool ends(size_t pos) const {
    size_t next;
    return pos >= text_.size() || (Fence != 0 && (at(pos, next) & Fence) != 0);
  }
  bool is(size_t pos, int classes) const {
    size_t next;
    return pos < text_.size() && (at(pos, next) & classes) != 0;
  }
  /// End of the longest run from `pos` of characters with one of `classes`, at most `limit` of them.
  size_t run(size_t pos, int classes, size_t limit = SIZE_MAX) const {
    for (size_t next; limit > 0 && pos < text_.size() && (at(pos, next) & classes) != 0; --limit) pos = next;
    return pos;
  }
  /// run(pos, classes) for classes with all letters: ASCII ones are skipped by the block.
  size_t run_letters(size_t pos, int classes = kLetter) const {
    const char* const end = text_.data() + text_.size();
    for (size_t next;;) {
      pos = static_cast<size_t>(skip_ascii_letters(text_.data() + pos, end) - text_.data());
      if (pos >= text_.size() || (at(pos, next) & classes) == 0) return pos;
      pos = next;
    }
  }
  /// The longest run of characters with none of `classes` (fences end it).
  size_t run_without(size_t pos, int classes) const {
    for (size_t next; pos < text_.size() && (at(pos, next) & (classes | Fence)) == 0;) pos = next;
    return pos;
  }
  size_t run_newlines(size_t pos) const {
    while (newline(pos)) ++pos;
    return pos;
  }
  size_t run_newlines_and_slashes(size_t pos) const {
    while (newline(pos) || byte(pos) == '/') ++pos;
    return pos;
  }
  /// \s+(?!\S)|\s+ : all of a run at the end of the text, else all but its last character, but at least one.
  size_t blanks(size_t pos, size_t run_end) const {
    if (ends(run_end)) return run_end;
    const size_t last = previous_char(text_, run_end);
    return last > pos ? last : run_end;
  }
  /// \s*[\r\n]+|\s+(?!\S)|\s+ at a blank.
  size_t blanks_with_newlines(size_t pos) const {
    const size_t run_end = run(pos, kSpace);
    for (size_t i = run_end; i > pos; --i) {  // up to the last newline of the run
      if (newline(i - 1)) return i;
    }
    return blanks(pos, run_end);
  }
  /// 's|'t|'re|'ve|'m|'ll|'d at `pos`, where an apostrophe stands: bytes matched, or 0.
  size_t contraction(size_t pos) const {
    const char a = byte(pos + 1), b = byte(pos + 2);
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
  }
  /// The same without regard to case; U+017F (long s) folds to s.
  size_t contraction_any_case(size_t pos) const {
    const auto lower = [&](size_t i) {
      return static_cast<char>(byte(i) >= 'A' && byte(i) <= 'Z' ? byte(i) + 32 : byte(i));
    };
    const char a = lower(pos + 1), b = lower(pos + 2);
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return 3;
    return a == '\xC5' && b == '\xBF' ? 3 : 0;
  }

 protected:
  std::string_view text_;
  const CharClasses& classes_;
};

/// A Splitter by a rule whose next(pos) says where the word at `pos` ends.
template <typename Rule>
size_t split_by(std::string_view text, size_t pos, std::span<uint32_t> ends) {
  const Rule rule(text);
  size_t count = 0;
  for (; pos < text.size() && count < ends.size(); ++count) ends[count] = static_cast<uint32_t>(pos = rule.next(pos));
  return count;
}

}  // namespace vllm::text
