#include "text/tokenizer/splitters.h"

#include <algorithm>

#include "text/tokenizer/ascii_run.h"
#include "text/tokenizer/unicode.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

// A cursor over well-formed text with the classes of its characters. Characters of `Fence` classes end the text: some
// rules cut those out first, so that what lies between them is split as a text of its own.
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

 private:
  std::string_view text_;
  const CharClasses& classes_;
};

// GPT-2's rule. With a fence of numbers, these were cut out as single characters before (SmolLM, StarCoder, Command-R).
template <int Fence>
struct Gpt2 : Scanner<Fence> {
  using Scanner<Fence>::Scanner;
  size_t next(size_t pos) const {
    if (this->byte(pos) == '\'') {
      if (const size_t length = this->contraction(pos)) return pos + length;
    }
    size_t after, start = pos;
    int cls = this->at(pos, after);
    if (cls & Fence) return after;
    if (this->byte(pos) == ' ' && !this->ends(after)) {
      size_t end;
      const int second = this->at(after, end);
      if ((second & kSpace) == 0) {
        start = after;
        cls = second;
      }
    }
    if (cls & kLetter) return this->run_letters(start);
    if (cls & kNumber) return this->run(start, kNumber);
    if ((cls & kSpace) == 0) return this->run_without(start, kLetter | kNumber | kSpace);
    return this->blanks(pos, this->run(pos, kSpace));
  }
};

// Llama 3's rule (numbers of up to three digits), Qwen2's (single digits), Qwen 3.5's (marks belong to words).
template <int Letters, size_t Digits, bool WholeTail>
struct Cl100k : Scanner<> {
  using Scanner<>::Scanner;
  size_t next(size_t pos) const {
    size_t after;
    const char first = byte(pos);
    if (first == ' ' && pos + 1 < size() && is_ascii_letter(static_cast<unsigned char>(byte(pos + 1))))
      return run_letters(pos + 1, Letters);
    if (first == '\'') {
      if (const size_t length = contraction_any_case(pos)) return pos + length;
    }
    const int cls = at(pos, after);
    if (cls & Letters) return run_letters(after, Letters);
    if (cls & kNumber) return run(pos, kNumber, Digits);
    if (first != '\n' && first != '\r' && is(after, Letters)) return run_letters(after, Letters);
    if ((cls & kSpace) == 0) return run_newlines(run_without(pos, kSpace | Letters | kNumber));
    if (first == ' ') {
      if (const size_t end = run_without(after, kSpace | Letters | kNumber); end > after) return run_newlines(end);
    }
    if (WholeTail) {
      if (const size_t end = run(pos, kSpace); end == size()) return end;
    }
    return blanks_with_newlines(pos);
  }
};

// The o200k rule of GPT-4o and Llama 4, and Tekken's: capitals start words.
template <size_t Digits, bool Contractions>
struct O200k : Scanner<> {
  using Scanner<>::Scanner;

  bool upper(int cls) const { return (cls & (kLetter | kMark)) != 0 && (cls & kLower) == 0; }
  bool caseless(int cls) const { return (cls & (kLetter | kMark)) != 0 && (cls & (kLower | kUpper)) == 0; }
  size_t run_lower(size_t pos) const {
    for (size_t after; pos < size();) {
      const int cls = at(pos, after);
      if ((cls & (kLetter | kMark)) == 0 || (cls & kUpper) != 0) break;
      pos = after;
    }
    return pos;
  }
  // [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+ or, without a second half, [\p{Lu}...]+ ; `pos` if none.
  size_t word(size_t pos) const {
    size_t end = pos, caseless_end = pos;
    for (size_t after; end < size(); end = after) {
      const int cls = at(end, after);
      if (!upper(cls)) break;
      if (caseless(cls)) caseless_end = after;
    }
    if (is(end, kLower)) return run_lower(end);
    return caseless_end > pos ? caseless_end : end;
  }
  size_t next(size_t pos) const {
    size_t after;
    const int cls = at(pos, after);
    size_t end = pos;
    if ((cls & (kLetter | kMark)) != 0) {
      end = word(pos);
    } else if ((cls & kNumber) == 0 && !newline(pos)) {
      end = word(after);
      if (end == after) end = pos;
    }
    if (end > pos) {
      if (Contractions && byte(end) == '\'') end += contraction_any_case(end);
      return end;
    }
    if (cls & kNumber) return run(pos, kNumber, Digits);
    if ((cls & kSpace) == 0) return run_newlines_and_slashes(run_without(pos, kSpace | kLetter | kNumber));
    if (byte(pos) == ' ') {
      if (end = run_without(after, kSpace | kLetter | kNumber); end > after) return run_newlines_and_slashes(end);
    }
    return blanks_with_newlines(pos);
  }
};

// DeepSeek V3: numbers by threes, then runs of Chinese and Japanese, then words in what is left. Characters that no
// alternative matches (controls, unassigned) stand together until one does.
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

template <typename Rule>
size_t split(std::string_view text, size_t pos, std::span<uint32_t> ends) {
  const Rule rule(text);
  size_t count = 0;
  for (; pos < text.size() && count < ends.size(); ++count) ends[count] = static_cast<uint32_t>(pos = rule.next(pos));
  return count;
}

constexpr KnownSplit kKnown[] = {
    {"gpt-2", {kGpt2Pattern}, split<Gpt2<0>>},
    {"digits+gpt-2", {R"(\p{N})", kGpt2Pattern}, split<Gpt2<kNumber>>},
    {"llama-bpe", {kLlama3Pattern}, split<Cl100k<kLetter, 3, false>>},
    {"qwen2", {kQwen2Pattern}, split<Cl100k<kLetter, 1, false>>},
    {"qwen35", {kQwen35Pattern}, split<Cl100k<kLetter | kMark, 1, false>>},
    {"cl100k", {kCl100kPattern}, split<Cl100k<kLetter, 3, true>>},
    {"o200k", {kO200kPattern}, split<O200k<3, true>>},
    {"tekken", {kTekkenPattern}, split<O200k<1, false>>},
    {"deepseek-v3", {kDeepseek3Numbers, kDeepseek3Cjk, kDeepseek3Words}, split<Deepseek3>},
};

// Equal but for newlines and carriage returns, which a JSON file may hold as such or as \n and \r.
bool same_pattern(std::string_view given, std::string_view known) {
  size_t i = 0, k = 0;
  for (; i < given.size() && k < known.size(); ++i, ++k) {
    if (given[i] == known[k]) continue;
    if (known[k] != '\\' || k + 1 == known.size()) return false;
    const char escaped = known[++k];
    if ((escaped != 'n' || given[i] != '\n') && (escaped != 'r' || given[i] != '\r')) return false;
  }
  return i == given.size() && k == known.size();
}

}  // namespace

void KnownSplit::split_all(std::string_view text, uint32_t base, std::vector<uint32_t>& ends) const {
  uint32_t buffer[256];
  for (size_t pos = 0; pos < text.size();) {
    const size_t count = split(text, pos, std::span(buffer));
    for (size_t i = 0; i < count; ++i) ends.push_back(base + buffer[i]);
    pos = buffer[count - 1];
  }
}

std::span<const KnownSplit> known_splits() { return kKnown; }

const KnownSplit* find_known_split(std::span<const std::string_view> patterns) {
  for (const KnownSplit& known : kKnown) {
    size_t count = 0;
    while (count < std::size(known.patterns) && !known.patterns[count].empty()) ++count;
    if (count == patterns.size() && std::equal(patterns.begin(), patterns.end(), known.patterns, same_pattern))
      return &known;
  }
  return nullptr;
}

const KnownSplit* find_known_split(std::string_view pattern) {
  return find_known_split(std::span<const std::string_view>(&pattern, 1));
}

}  // namespace vllm::text
