#pragma once
// The `normalizer` of tokenizer.json: a list of text rewrites, applied to each part of the input between added tokens.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "text/tokenizer/charsmap.h"
#include "text/tokenizer/regex.h"

namespace vllm::text {

struct NormalizePrepend {
  std::string prefix;
};  // not to an empty text
struct NormalizeReplace {
  std::string literal;  // what is replaced; empty if `regex` is used
  std::shared_ptr<const Regex> regex;
  std::string content;
};
struct NormalizeStrip {
  bool left, right;
};
/// A SentencePiece character map, as Hugging Face applies it or, with `sentencepiece`, as SentencePiece does.
struct NormalizeCharsmap {
  std::shared_ptr<const Charsmap> map;
  std::optional<SentencePieceRules> sentencepiece;
};
/// BERT's: controls go, blanks become ' ', Chinese characters stand alone, accents and capitals go.
struct NormalizeBert {
  bool clean_text = true, handle_chinese_chars = true, strip_accents = true, lowercase = true;
};
enum class NormalizeForm { kNfc, kNfd, kNfkc, kNfkd, kLowercase, kStripAccents };
using NormalizeStep =
    std::variant<NormalizePrepend, NormalizeReplace, NormalizeStrip, NormalizeCharsmap, NormalizeBert, NormalizeForm>;

class Normalizer {
 public:
  Normalizer() = default;  // changes nothing
  explicit Normalizer(std::vector<NormalizeStep> steps) : steps_(std::move(steps)) {}
  /// kUnimplemented names a type that is not supported, kInvalidArgument a malformed one. `value` may be null.
  static Result<Normalizer> from_json(const json::value& value);

  bool empty() const { return steps_.empty(); }
  /// SentencePiece's usual rules: every ' ' becomes ▁ and nothing else changes, but for a ▁ in front if `prepend`.
  struct Blanks {
    bool prepend;
  };
  std::optional<Blanks> only_blanks() const;
  /// True if apply() would surely not change this text.
  bool keeps(std::string_view text) const;
  /// Rewrite well-formed text in place. Linear but for the sorting of combining marks (n log n). Fails where a rule
  /// would make the text absurdly longer or a regular expression gives up.
  Status apply(std::string& text) const;

 private:
  std::vector<NormalizeStep> steps_;
};

}  // namespace vllm::text
