#pragma once
// The `pre_tokenizer` of tokenizer.json: cuts text into the words that BPE works on.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "text/tokenizer/regex.h"
#include "text/tokenizer/splitters.h"

namespace vllm::text {

struct Word {
  uint32_t begin, end;  // bytes, begin < end
};
/// A text and its words so far. A step that writes (a blank in front of a word) replaces the text by `storage`.
struct Words {
  std::string_view text;
  std::string storage;
  std::vector<Word> words;  // in order, not overlapping
  bool at_start = true;     // the text is the start of the whole input: "first" prepending applies to its first word
};

enum class SplitBehavior { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };
enum class CharRule {  // each such character is a match of its own
  kNumeric,
  kPunctuation,
  kWhitespace,
  kNumericByte,  // a digit in the spelling of ByteLevel: ASCII digits and the bytes spelled ¹ ² ³ ¼ ½ ¾
};
/// Three ASCII digits are a match: Falcon's [0-9][0-9][0-9].
struct ThreeDigits {};
/// One to three digits, so that a run's last group is whole; a run that a word character follows is left alone if
/// `at_boundary`. Command-A's \d{1,3}(?=(?:\d{3})*\b) in linear time.
struct DigitGroups {
  bool at_boundary = true;
};

/// What counts as a match inside a word.
using Matcher = std::variant<const KnownSplit*, Regex, std::string /*literal*/, CharRule, ThreeDigits, DigitGroups>;
struct SplitStep {
  Matcher matcher;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;       // what the matcher leaves over is the match
  std::string pattern = {};  // of a regular expression or known split, as it was given
};
struct WordRunsStep {};     // `Whitespace`: runs of \w and runs of other visible characters; blanks are dropped
struct PrefixSpaceStep {};  // ByteLevel's add_prefix_space
struct MetaspaceStep {
  enum class Prepend { kAlways, kFirst, kNever } prepend = Prepend::kAlways;
  std::string replacement = "\xE2\x96\x81";  // one character
  bool split = true;
};
using PreTokenizeStep = std::variant<SplitStep, WordRunsStep, PrefixSpaceStep, MetaspaceStep>;

class PreTokenizer {
 public:
  PreTokenizer() = default;  // one word
  PreTokenizer(std::vector<PreTokenizeStep> steps, bool byte_level);
  /// kUnimplemented names a type that is not supported. `value` may be null.
  static Result<PreTokenizer> from_json(const json::value& value);

  /// Cut `words.text` (well-formed, not empty). Fails where a regular expression hits its limits.
  Status apply(Words& words) const;
  /// The rule, if it is a single hand-written one: its words cover the text.
  const KnownSplit* known() const;
  bool empty() const { return steps_.empty(); }
  /// The only step, if it writes ▁ for ' ' and does not cut.
  const MetaspaceStep* only_blanks() const;
  /// True if the words' bytes are then spelled in the byte alphabet (ByteLevel).
  bool byte_level() const { return byte_level_; }
  /// Names of the split rules for the log: "qwen2", "regex", "digits".
  std::string description() const;

 private:
  std::vector<PreTokenizeStep> steps_;
  bool byte_level_ = false;
};

/// The steps of a split rule by pattern: hand-written if it is a known one, PCRE2 otherwise.
Result<SplitStep> make_split(std::string_view pattern, SplitBehavior behavior = SplitBehavior::kIsolated,
                             bool invert = false);
inline constexpr std::string_view kDigitGroupsPattern = R"(\d{1,3}(?=(?:\d{3})*\b))";

}  // namespace vllm::text
