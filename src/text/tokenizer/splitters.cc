#include "text/tokenizer/splitters.h"

#include "text/tokenizer/unicode.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

constexpr KnownSplit kKnown[] = {
    {"gpt-2", kGpt2Pattern, split_gpt2},
    {"llama-bpe", kLlama3Pattern, split_llama3},
    {"qwen2", kQwen2Pattern, split_qwen2},
};

// A cursor over well-formed text with the classes of its characters.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text), classes_(CharClasses::get()) {}

  size_t size() const { return text_.size(); }
  char byte(size_t pos) const { return pos < text_.size() ? text_[pos] : '\0'; }
  /// Class of the character at `pos`, which must lie inside the text; `next` is where the one after it starts.
  uint8_t at(size_t pos, size_t& next) const {
    next = pos;
    return classes_[read_char(text_, next)];
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
  /// [^\s\p{L}\p{N}]*
  size_t run_other(size_t pos) const {
    for (size_t next; pos < text_.size() && (at(pos, next) & (kLetter | kNumber | kSpace)) == 0;) pos = next;
    return pos;
  }
  size_t run_newlines(size_t pos) const {
    while (byte(pos) == '\n' || byte(pos) == '\r') ++pos;
    return pos;
  }
  /// \s+(?!\S)|\s+ : all of a run at the end of the text, else all but its last character, but at least one.
  size_t blanks(size_t pos, size_t run_end) const {
    if (run_end == text_.size()) return run_end;
    const size_t last = previous_char(text_, run_end);
    return last > pos ? last : run_end;
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

 private:
  std::string_view text_;
  const CharClasses& classes_;
};

// One step of the GPT-2 rule: the end of the word that starts at `pos`.
size_t next_gpt2(const Scanner& s, size_t pos) {
  if (s.byte(pos) == '\'') {
    if (const size_t length = s.contraction(pos)) return pos + length;
  }
  size_t next, start = pos;
  uint8_t cls = s.at(pos, next);
  if (s.byte(pos) == ' ' && next < s.size()) {
    size_t after;
    const uint8_t second = s.at(next, after);
    if ((second & kSpace) == 0) {
      start = next;
      cls = second;
    }
  }
  if (cls & kLetter) return s.run(start, kLetter);
  if (cls & kNumber) return s.run(start, kNumber);
  if ((cls & kSpace) == 0) return s.run_other(start);
  return s.blanks(pos, s.run(pos, kSpace));
}

// One step of the Llama 3 rule (numbers of up to three digits) and of the Qwen2 rule (single digits).
size_t next_cl100k(const Scanner& s, size_t pos, size_t max_digits) {
  if (s.byte(pos) == '\'') {
    if (const size_t length = s.contraction_any_case(pos)) return pos + length;
  }
  size_t next;
  const uint8_t cls = s.at(pos, next);
  if (cls & kLetter) return s.run(next, kLetter);
  if (cls & kNumber) return s.run(pos, kNumber, max_digits);
  const bool newline = s.byte(pos) == '\n' || s.byte(pos) == '\r';
  if (!newline && s.is(next, kLetter)) return s.run(next, kLetter);
  if ((cls & kSpace) == 0) return s.run_newlines(s.run_other(pos));
  if (s.byte(pos) == ' ') {
    if (const size_t end = s.run_other(next); end > next) return s.run_newlines(end);
  }
  const size_t run_end = s.run(pos, kSpace);
  for (size_t i = run_end; i > pos; --i) {  // \s*[\r\n]+ : up to the last newline of the run
    if (s.byte(i - 1) == '\n' || s.byte(i - 1) == '\r') return i;
  }
  return s.blanks(pos, run_end);
}

}  // namespace

void split_gpt2(std::string_view text, uint32_t base, std::vector<uint32_t>& ends) {
  const Scanner s(text);
  for (size_t pos = 0; pos < text.size();) ends.push_back(base + static_cast<uint32_t>(pos = next_gpt2(s, pos)));
}

void split_llama3(std::string_view text, uint32_t base, std::vector<uint32_t>& ends) {
  const Scanner s(text);
  for (size_t pos = 0; pos < text.size();) ends.push_back(base + static_cast<uint32_t>(pos = next_cl100k(s, pos, 3)));
}

void split_qwen2(std::string_view text, uint32_t base, std::vector<uint32_t>& ends) {
  const Scanner s(text);
  for (size_t pos = 0; pos < text.size();) ends.push_back(base + static_cast<uint32_t>(pos = next_cl100k(s, pos, 1)));
}

const KnownSplit* find_known_split(std::string_view pattern) {
  for (const KnownSplit& known : kKnown) {
    if (known.pattern == pattern) return &known;
  }
  return nullptr;
}

}  // namespace vllm::text
