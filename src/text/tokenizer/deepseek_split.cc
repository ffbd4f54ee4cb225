// The split rules of DeepSeek's older vocabularies: five (coder) or six (llm) patterns one after the other, of which
// each only adds cuts. So a word ends where the first of the cuts comes, which needs few characters ahead.
#include "text/tokenizer/deepseek_patterns.h"

#include <charconv>
#include <vector>

#include "text/tokenizer/split_scanner.h"
#include "text/tokenizer/splitters.h"

namespace vllm::text {
namespace {

// The characters of kDeepseekLetters, a bit each.
class Letters {
 public:
  static const Letters& get() {
    static const Letters letters;
    return letters;
  }
  bool has(char32_t code) const { return code < kEnd && (bits_[code / 64] >> code % 64 & 1) != 0; }

 private:
  static constexpr char32_t kEnd = 0x20000;
  // "\s?[A-Za-z\x{B5}\x{C0}-\x{D6}...]+"
  Letters() {
    constexpr std::string_view kPattern = kDeepseekLetters;
    size_t pos = kPattern.find('[') + 1;
    const auto read = [&] {
      uint32_t code = static_cast<unsigned char>(kPattern[pos]);
      if (code != '\\') return ++pos, code;
      const size_t close = kPattern.find('}', pos);
      std::from_chars(kPattern.data() + pos + 3, kPattern.data() + close, code, 16);
      pos = close + 1;
      return code;
    };
    while (kPattern[pos] != ']') {
      const uint32_t first = read();
      uint32_t last = first;
      if (kPattern[pos] == '-') ++pos, last = read();
      for (; first <= last && last < kEnd; --last) bits_[last / 64] |= uint64_t{1} << last % 64;
    }
  }
  std::vector<uint64_t> bits_ = std::vector<uint64_t>(kEnd / 64);
};

// kDeepseekCjk
bool is_cjk(char32_t code) { return (code >= 0x800 && code <= 0x9FA5) || (code >= 0xAC00 && code <= 0xD7FF); }

// What a rule has to know about a character.
struct Char {
  size_t next;  // where the one after it starts
  bool letter, punctuation, blank, newline, number, cjk;
};

// \s?\p{L}+ and \s?\p{P}+
struct Coder {
  static constexpr bool kCutsTails = false;
  static bool is_letter(char32_t, int cls) { return (cls & kLetter) != 0; }
  static bool is_punctuation(char32_t, int cls) { return (cls & (kPunctuation | kSymbol)) == kPunctuation; }
};

// kDeepseekLetters and kDeepseekPunctuation, of which the latter has ASCII letters, fullwidth ones and U+3000 too.
struct Llm {
  static constexpr bool kCutsTails = true;
  static bool is_letter(char32_t code, int) { return Letters::get().has(code); }
  static bool is_punctuation(char32_t code, int) {
    if (code < 0x80) return (code >= '!' && code <= '/') || (code >= ':' && code <= '~');
    return (code >= 0xFF01 && code <= 0xFF0F) || (code >= 0xFF1A && code <= 0xFF5E) ||
           (code >= 0x2018 && code <= 0x201F) || (code >= 0x3000 && code <= 0x3002);
  }
};

template <typename Rule, bool SingleDigits>
struct Deepseek : Scanner<> {
  using Scanner::Scanner;
  enum class Kind { kNewline, kWord, kPunctuation, kRest };

  size_t next(size_t pos) const {
    size_t start = pos;
    if (byte(pos) == ' ') ++start;
    if (start < size() && is_ascii_letter(static_cast<unsigned char>(byte(start)))) {  // nearly every word
      const size_t end =
          static_cast<size_t>(skip_ascii_letters(text_.data() + start, text_.data() + size()) - text_.data());
      if (static_cast<unsigned char>(byte(end)) < 0x80) return end;
      pos = end - 1;  // as if the word started with its last letter
    }
    Char previous = char_at(pos);
    const Kind kind = kind_of(previous);
    if (kind == Kind::kNewline) return previous.next;
    bool visible = !previous.blank;
    for (size_t at = previous.next, checked = 0; at < size(); at = previous.next) {
      const Char c = char_at(at);
      if (kind_of(c) != kind || c.cjk != previous.cjk) return at;
      if (kind == Kind::kWord && is_word_cut(previous, c)) return at;
      if (kind == Kind::kPunctuation && c.blank && !c.punctuation) return at;
      if (kind == Kind::kRest && (SingleDigits ? c.number || previous.number : c.number != previous.number)) return at;
      if (Rule::kCutsTails && visible && c.blank && at >= checked && is_tail(at, kind, checked)) return at;
      visible = visible || !c.blank;
      previous = c;
    }
    return size();
  }

 private:
  Char char_at(size_t pos) const {
    Char out;
    out.next = pos;
    const char32_t code = read_char(text_, out.next);
    const int cls = classes_[code];
    out.letter = Rule::is_letter(code, cls);
    out.punctuation = Rule::is_punctuation(code, cls);
    out.blank = (cls & kSpace) != 0;
    out.newline = code == '\n' || code == '\r';
    out.number = (cls & kNumber) != 0;
    out.cjk = is_cjk(code);
    return out;
  }
  // Which pattern takes a character; a blank may belong to what follows it.
  Kind kind_of(const Char& c) const {
    if (c.newline) return Kind::kNewline;
    if (c.letter) return Kind::kWord;
    if (!c.blank || c.next >= size()) return c.punctuation ? Kind::kPunctuation : Kind::kRest;
    const Char after = char_at(c.next);
    if (after.letter) return Kind::kWord;
    if (c.punctuation) return Kind::kPunctuation;
    if (!after.punctuation) return Kind::kRest;
    return after.blank && after.next < size() && char_at(after.next).letter ? Kind::kRest : Kind::kPunctuation;
  }
  // In words the second pattern cuts again (llm); a blank starts the next.
  bool is_word_cut(const Char& previous, const Char& c) const {
    if (c.blank) return true;
    if (!Rule::kCutsTails) return false;
    return previous.blank ? previous.punctuation && !c.punctuation : previous.punctuation != c.punctuation;
  }
  // \s+$ : the blanks at `at` are the end of what the patterns before left in one piece. `checked`: they end there.
  bool is_tail(size_t at, Kind kind, size_t& checked) const {
    const bool punctuation = kind == Kind::kPunctuation;
    while (at < size()) {
      const Char c = char_at(at);
      if (!c.blank || c.newline || c.punctuation != punctuation) {
        checked = at;
        if (punctuation) return !c.punctuation || c.letter;
        return c.newline || c.letter || c.punctuation;
      }
      at = c.next;
    }
    return true;
  }
};

}  // namespace

size_t split_deepseek_coder(std::string_view text, size_t pos, std::span<uint32_t> ends) {
  return split_by<Deepseek<Coder, true>>(text, pos, ends);
}

template <bool SingleDigits>
size_t split_deepseek_llm(std::string_view text, size_t pos, std::span<uint32_t> ends) {
  return split_by<Deepseek<Llm, SingleDigits>>(text, pos, ends);
}
template size_t split_deepseek_llm<false>(std::string_view text, size_t pos, std::span<uint32_t> ends);
template size_t split_deepseek_llm<true>(std::string_view text, size_t pos, std::span<uint32_t> ends);

}  // namespace vllm::text
