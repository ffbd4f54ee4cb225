#include "text/tokenizer/splitters.h"

#include <algorithm>
#include <charconv>
#include <string>

#include "text/tokenizer/deepseek_patterns.h"
#include "text/tokenizer/split_scanner.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

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

constexpr KnownSplit kKnown[] = {
    {"gpt-2", {kGpt2Pattern}, split_by<Gpt2<0>>},
    {"digits+gpt-2", {R"(\p{N})", kGpt2Pattern}, split_by<Gpt2<kNumber>>},
    {"llama-bpe", {kLlama3Pattern}, split_by<Cl100k<kLetter, 3, false>>},
    {"qwen2", {kQwen2Pattern}, split_by<Cl100k<kLetter, 1, false>>},
    {"qwen35", {kQwen35Pattern}, split_by<Cl100k<kLetter | kMark, 1, false>>},
    {"cl100k", {kCl100kPattern}, split_by<Cl100k<kLetter, 3, true>>},
    {"o200k", {kO200kPattern}, split_by<O200k<3, true>>},
    {"tekken", {kTekkenPattern}, split_by<O200k<1, false>>},
    {"deepseek-v3", {kDeepseek3Numbers, kDeepseek3Cjk, kDeepseek3Words}, split_deepseek3},
    {"deepseek-coder",
     {kNewlinePattern, R"(\s?\p{L}+)", R"(\s?\p{P}+)", kDeepseekCjk, R"(\p{N})"},
     split_deepseek_coder},
    {"deepseek-llm",
     {kNewlinePattern, kDeepseekLetters, kDeepseekPunctuation, R"(\s+$)", kDeepseekCjk, R"(\p{N}+)"},
     split_deepseek_llm<false>},
    {"deepseek-llm, single digits",
     {kNewlinePattern, kDeepseekLetters, kDeepseekPunctuation, R"(\s+$)", kDeepseekCjk, R"(\p{N})"},
     split_deepseek_llm<true>},
    {"falcon", {kPunctuationRuns, kGpt2Pattern, kNumericByteRuns, kThreeDigitsPattern}, split_falcon},
};

// Whether `known` goes on at `k` with an escape (\n, \r, \x{4E00}) for what `given` has at `i` as such; moves both past
// it.
bool same_escape(std::string_view given, size_t& i, std::string_view known, size_t& k) {
  if (known[k] != '\\' || k + 1 == known.size()) return false;
  std::string plain;
  size_t end = k + 2;
  if (known[k + 1] == 'n' || known[k + 1] == 'r') {
    plain = known[k + 1] == 'n' ? '\n' : '\r';
  } else if (known.substr(k + 1).starts_with("x{")) {
    uint32_t code = 0;
    end = known.find('}', k) + 1;
    std::from_chars(known.data() + k + 3, known.data() + end, code, 16);
    append_char(plain, code);
  }
  if (plain.empty() || !given.substr(i).starts_with(plain)) return false;
  i += plain.size();
  k = end;
  return true;
}

// Equal but for characters that a JSON file may hold as such or escaped.
bool same_pattern(std::string_view given, std::string_view known) {
  size_t i = 0, k = 0;
  while (i < given.size() && k < known.size()) {
    if (given[i] == known[k])
      ++i, ++k;
    else if (!same_escape(given, i, known, k))
      return false;
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
