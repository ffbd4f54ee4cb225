#include "text/tokenizer/pre_tokenizer.h"

#include <algorithm>

#include "text/tokenizer/ascii_run.h"
#include "text/tokenizer/unicode.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

struct Part {
  uint32_t begin, end;
  bool is_match;
};

// Parts of text[begin, end) between and at the matches; an empty match only cuts.
void add_gap(std::vector<Part>& parts, uint32_t from, uint32_t to) {
  if (from < to) parts.push_back({from, to, false});
}

void find_digit_groups(const DigitGroups& rule, std::string_view text, uint32_t base, uint32_t& done,
                       std::vector<Part>& parts) {
  const CharClasses& classes = CharClasses::get();
  std::vector<uint32_t> starts;  // of the digits of one run
  for (size_t pos = 0; pos < text.size();) {
    starts.clear();
    size_t next = pos;
    while (next < text.size()) {
      size_t after = next;
      if (!classes.is(read_char(text, after), kDigit)) break;
      starts.push_back(static_cast<uint32_t>(next));
      next = after;
    }
    const size_t run_end = next;
    const bool followed = next < text.size() && classes.is(read_char(text, next), kWord);
    if (!starts.empty() && !(rule.at_boundary && followed)) {
      add_gap(parts, done, base + starts[0]);
      for (size_t i = 0, size = (starts.size() - 1) % 3 + 1; i < starts.size(); i += size, size = 3) {
        const size_t end = i + size < starts.size() ? starts[i + size] : run_end;
        parts.push_back({base + starts[i], done = base + static_cast<uint32_t>(end), true});
      }
    }
    pos = std::max(next, run_end);
  }
}

Status find_parts(const Matcher& matcher, std::string_view text, Word word, std::vector<Part>& parts) {
  const std::string_view view = text.substr(word.begin, word.end - word.begin);
  uint32_t done = word.begin;
  if (const auto* known = std::get_if<const KnownSplit*>(&matcher)) {
    std::vector<uint32_t> ends;
    (*known)->split_all(view, word.begin, ends);
    for (const uint32_t end : ends) {
      parts.push_back({done, end, true});
      done = end;
    }
    return Status::ok();
  }
  if (const auto* regex = std::get_if<Regex>(&matcher)) {
    std::vector<RegexMatch> matches;
    RETURN_IF_ERROR(regex->find_all(view, matches));
    for (const RegexMatch& match : matches) {
      add_gap(parts, done, word.begin + match.begin);
      parts.push_back({word.begin + match.begin, word.begin + match.end, true});
      done = word.begin + match.end;
    }
  } else if (const auto* literal = std::get_if<std::string>(&matcher)) {
    for (size_t at = 0; (at = view.find(*literal, at)) != std::string_view::npos; at += literal->size()) {
      const uint32_t begin = word.begin + static_cast<uint32_t>(at);
      add_gap(parts, done, begin);
      done = begin + static_cast<uint32_t>(literal->size());
      parts.push_back({begin, done, true});
    }
  } else if (std::holds_alternative<ThreeDigits>(matcher)) {
    const auto digit = [&](size_t i) { return view[i] >= '0' && view[i] <= '9'; };
    for (size_t at = 0; at + 3 <= view.size();) {
      if (!digit(at) || !digit(at + 1) || !digit(at + 2)) {
        ++at;
        continue;
      }
      const uint32_t begin = word.begin + static_cast<uint32_t>(at);
      add_gap(parts, done, begin);
      parts.push_back({begin, done = begin + 3, true});
      at += 3;
    }
  } else if (const auto* groups = std::get_if<DigitGroups>(&matcher)) {
    find_digit_groups(*groups, view, word.begin, done, parts);
  } else if (std::get<CharRule>(matcher) == CharRule::kNumericByte) {
    for (size_t pos = 0; pos < view.size(); ++pos) {
      if (!is_numeric_byte(static_cast<unsigned char>(view[pos]))) continue;
      const uint32_t begin = word.begin + static_cast<uint32_t>(pos);
      add_gap(parts, done, begin);
      parts.push_back({begin, done = begin + 1, true});
    }
  } else {
    const CharRule rule = std::get<CharRule>(matcher);
    const int wanted = rule == CharRule::kNumeric ? kNumber : rule == CharRule::kPunctuation ? kPunctuation : kSpace;
    const CharClasses& classes = CharClasses::get();
    for (size_t pos = 0; pos < view.size();) {
      const size_t begin = pos;
      if (!classes.is(read_char(view, pos), wanted)) continue;
      add_gap(parts, done, word.begin + static_cast<uint32_t>(begin));
      done = word.begin + static_cast<uint32_t>(pos);
      parts.push_back({word.begin + static_cast<uint32_t>(begin), done, true});
    }
  }
  add_gap(parts, done, word.end);
  return Status::ok();
}

// Joins parts into words as the behaviour says; empty words vanish.
void add_words(const std::vector<Part>& parts, SplitBehavior behavior, std::vector<Word>& words) {
  const size_t first = words.size();
  bool previous = false;
  const auto add = [&](const Part& part, bool join) {
    if (join && words.size() > first)
      words.back().end = part.end;
    else
      words.push_back({part.begin, part.end});
  };
  if (behavior == SplitBehavior::kMergedWithNext) {
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
      if (part->is_match && !previous && words.size() > first)
        words.back().begin = part->begin;
      else
        words.push_back({part->begin, part->end});
      previous = part->is_match;
    }
    std::reverse(words.begin() + static_cast<std::ptrdiff_t>(first), words.end());
  } else {
    for (const Part& part : parts) {
      switch (behavior) {
        case SplitBehavior::kIsolated: add(part, false); break;
        case SplitBehavior::kRemoved:
          if (!part.is_match) add(part, false);
          break;
        case SplitBehavior::kContiguous: add(part, part.is_match == previous); break;
        default: add(part, part.is_match && !previous); break;  // kMergedWithPrevious
      }
      previous = part.is_match;
    }
  }
  words.erase(std::remove_if(words.begin() + static_cast<std::ptrdiff_t>(first), words.end(),
                             [](const Word& word) { return word.begin == word.end; }),
              words.end());
}

// The same for rules by single characters or bytes, without a list of parts. `read(pos)` says whether there is a match
// at `pos` and moves past it; ASCII letters never match.
template <typename Read>
void cut_at_chars(std::string_view text, Word word, SplitBehavior behavior, Read read, std::vector<Word>& words) {
  const char* const end = text.data() + word.end;
  uint32_t done = word.begin;
  bool previous = false;  // the last word is a match that ends where `done` is
  for (size_t pos = word.begin; pos < word.end;) {
    pos = static_cast<size_t>(skip_ascii_letters(text.data() + pos, end) - text.data());
    if (pos >= word.end) break;
    const auto begin = static_cast<uint32_t>(pos);
    if (!read(pos)) continue;
    if (done < begin) words.push_back({done, begin});
    previous = previous && done == begin;
    done = static_cast<uint32_t>(pos);
    if (behavior == SplitBehavior::kContiguous && previous)
      words.back().end = done;
    else if (behavior != SplitBehavior::kRemoved)
      words.push_back({begin, done});
    previous = true;
  }
  if (done < word.end) words.push_back({done, word.end});
}

// True if the step was one of those.
bool cut_by_chars(const SplitStep& step, const Words& words, std::vector<Word>& out) {
  const auto* rule = std::get_if<CharRule>(&step.matcher);
  const bool simple = step.behavior == SplitBehavior::kIsolated || step.behavior == SplitBehavior::kContiguous ||
                      step.behavior == SplitBehavior::kRemoved;
  if (!rule || !simple || step.invert) return false;
  const int wanted = *rule == CharRule::kNumeric ? kNumber : *rule == CharRule::kPunctuation ? kPunctuation : kSpace;
  const CharClasses& classes = CharClasses::get();
  for (const Word& word : words.words) {
    if (*rule == CharRule::kNumericByte)
      cut_at_chars(
          words.text, word, step.behavior,
          [&](size_t& pos) { return is_numeric_byte(static_cast<unsigned char>(words.text[pos++])); }, out);
    else
      cut_at_chars(
          words.text, word, step.behavior, [&](size_t& pos) { return classes.is(read_char(words.text, pos), wanted); },
          out);
  }
  return true;
}

Status run_step(const SplitStep& step, Words& words) {
  std::vector<Word> out;
  out.reserve(words.words.size() + words.text.size() / 4);
  if (cut_by_chars(step, words, out)) {
    words.words = std::move(out);
    return Status::ok();
  }
  std::vector<Part> parts;
  std::vector<uint32_t> ends;
  const auto* known = std::get_if<const KnownSplit*>(&step.matcher);
  for (const Word& word : words.words) {
    if (known &&
        (step.behavior == SplitBehavior::kIsolated || (step.behavior == SplitBehavior::kRemoved && step.invert))) {
      ends.clear();  // the common case: every part is a word
      (*known)->split_all(words.text.substr(word.begin, word.end - word.begin), word.begin, ends);
      uint32_t begin = word.begin;
      for (const uint32_t end : ends) out.push_back({begin, end}), begin = end;
      continue;
    }
    parts.clear();
    RETURN_IF_ERROR(find_parts(step.matcher, words.text, word, parts));
    if (step.invert) {
      for (Part& part : parts) part.is_match = !part.is_match;
    }
    add_words(parts, step.behavior, out);
  }
  words.words = std::move(out);
  return Status::ok();
}

Status run_step(const WordRunsStep&, Words& words) {
  const CharClasses& classes = CharClasses::get();
  std::vector<Word> out;
  for (const Word& word : words.words) {
    int previous = 0;
    for (size_t pos = word.begin; pos < word.end;) {
      const auto begin = static_cast<uint32_t>(pos);
      const int found = classes[read_char(words.text, pos)];
      const int kind = found & kWord ? 1 : found & kSpace ? 0 : 2;
      if (kind != 0 && kind == previous)
        out.back().end = static_cast<uint32_t>(pos);
      else if (kind != 0)
        out.push_back({begin, static_cast<uint32_t>(pos)});
      previous = kind;
    }
  }
  words.words = std::move(out);
  return Status::ok();
}

// Rewrites every word by `rewrite(word, is_first, out)` into new storage.
template <typename Rewrite>
void rewrite_words(Words& words, Rewrite rewrite) {
  std::string out;
  out.reserve(words.text.size() + words.words.size() * 4);
  bool first = true;
  for (Word& word : words.words) {
    const auto begin = static_cast<uint32_t>(out.size());
    rewrite(words.text.substr(word.begin, word.end - word.begin), first && word.begin == 0, out);
    word = {begin, static_cast<uint32_t>(out.size())};
    first = false;
  }
  words.storage = std::move(out);
  words.text = words.storage;
}

Status run_step(const PrefixSpaceStep&, Words& words) {
  rewrite_words(words, [](std::string_view word, bool, std::string& out) {
    if (!word.starts_with(' ')) out += ' ';
    out += word;
  });
  return Status::ok();
}

Status run_step(const MetaspaceStep& step, Words& words) {
  rewrite_words(words, [&](std::string_view word, bool first, std::string& out) {
    const bool wanted = step.prepend == MetaspaceStep::Prepend::kAlways ||
                        (step.prepend == MetaspaceStep::Prepend::kFirst && first && words.at_start);
    if (wanted && !word.starts_with(step.replacement) && !word.starts_with(' ')) out += step.replacement;
    for (const char c : word) c == ' ' ? out.append(step.replacement) : out.append(1, c);
  });
  if (!step.split) return Status::ok();
  return run_step(SplitStep{.matcher = step.replacement, .behavior = SplitBehavior::kMergedWithNext}, words);
}

std::string_view name_of(const Matcher& matcher) {
  const auto* rule = std::get_if<CharRule>(&matcher);
  if (rule && *rule == CharRule::kPunctuation) return "punctuation";
  return rule && *rule == CharRule::kWhitespace ? "whitespace" : "digits";
}

// What a step is called in the table of known splits; empty if it cannot be a part of one.
std::string_view pattern_of(const PreTokenizeStep& step) {
  const auto* split = std::get_if<SplitStep>(&step);
  if (!split || split->invert) return {};
  const auto* rule = std::get_if<CharRule>(&split->matcher);
  if (split->behavior == SplitBehavior::kContiguous && rule) {
    if (*rule == CharRule::kPunctuation) return kPunctuationRuns;
    if (*rule == CharRule::kNumericByte) return kNumericByteRuns;
  }
  if (split->behavior != SplitBehavior::kIsolated) return {};
  if (std::holds_alternative<ThreeDigits>(split->matcher)) return kThreeDigitsPattern;
  return rule && *rule == CharRule::kNumeric ? R"(\p{N})" : std::string_view(split->pattern);
}

}  // namespace

// A rule that was trained as several splits in a row becomes the one that does them at once.
PreTokenizer::PreTokenizer(std::vector<PreTokenizeStep> steps, bool byte_level) : byte_level_(byte_level) {
  constexpr size_t kMost = std::size(KnownSplit().patterns);
  for (size_t i = 0; i < steps.size(); ++i) {
    for (size_t count = std::min(kMost, steps.size() - i); count > 1; --count) {
      std::vector<std::string_view> patterns;
      for (size_t k = i; k < i + count; ++k) patterns.push_back(pattern_of(steps[k]));
      const KnownSplit* known = find_known_split(patterns);
      if (!known) continue;
      steps[i] = SplitStep{.matcher = known};
      steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(i) + 1,
                  steps.begin() + static_cast<std::ptrdiff_t>(i + count));
      break;
    }
  }
  steps_ = std::move(steps);
}

const KnownSplit* PreTokenizer::known() const {
  const auto* split = steps_.size() == 1 ? std::get_if<SplitStep>(&steps_[0]) : nullptr;
  const auto* known = split ? std::get_if<const KnownSplit*>(&split->matcher) : nullptr;
  const bool covers = known && (split->behavior == SplitBehavior::kIsolated ||
                                (split->behavior == SplitBehavior::kRemoved && split->invert));
  return covers ? *known : nullptr;
}

const MetaspaceStep* PreTokenizer::only_blanks() const {
  const auto* step = steps_.size() == 1 ? std::get_if<MetaspaceStep>(&steps_[0]) : nullptr;
  return step && !step->split && step->replacement == MetaspaceStep().replacement ? step : nullptr;
}

Status PreTokenizer::apply(Words& words) const {
  words.words.assign(1, {0, static_cast<uint32_t>(words.text.size())});
  for (const PreTokenizeStep& step : steps_) {
    RETURN_IF_ERROR(std::visit([&](const auto& known) { return run_step(known, words); }, step));
  }
  return Status::ok();
}

std::string PreTokenizer::description() const {
  std::string out;
  for (const PreTokenizeStep& step : steps_) {
    std::string_view name = "prefix space";
    if (const auto* split = std::get_if<SplitStep>(&step)) {
      if (const auto* known = std::get_if<const KnownSplit*>(&split->matcher))
        name = (*known)->name;
      else if (std::holds_alternative<Regex>(split->matcher))
        name = "regex";
      else if (std::holds_alternative<std::string>(split->matcher))
        name = "literal";
      else
        name = name_of(split->matcher);
    } else if (std::holds_alternative<MetaspaceStep>(step)) {
      name = "metaspace";
    } else if (std::holds_alternative<WordRunsStep>(step)) {
      name = "whitespace";
    }
    out += out.empty() ? "" : "+";
    out += name;
  }
  return out.empty() ? "none" : out;
}

}  // namespace vllm::text
