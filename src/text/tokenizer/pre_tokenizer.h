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
enum class CharRule { kNumeric, kPunctuation, kWhitespace };  // each such character is a match of its own

/// What counts as a match inside a word.
using Matcher = std::variant<const KnownSplit*, Regex, std::string /*literal*/, CharRule>;
struct SplitStep {
  Matcher matcher;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;  // what the matcher leaves over is the match
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
  PreTokenizer(std::vector<PreTokenizeStep> steps, bool byte_level)
      : steps_(std::move(steps)), byte_level_(byte_level) {}
  /// kUnimplemented names a type that is not supported. `value` may be null.
  static Result<PreTokenizer> from_json(const json::value& value);

  /// Cut `words.text` (well-formed, not empty). Fails where a regular expression hits its limits.
  Status apply(Words& words) const;
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

}  // namespace vllm::text
