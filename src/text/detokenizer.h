#pragma once
// Incremental detokenizer of one stream: what it emits is always whole characters, and the pieces joined equal
// decode().
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace vllm::text {

struct DetokenizerOptions {
  bool skip_special_tokens = true;
  bool spaces_between_special_tokens = true;  // accepted for compatibility; fast tokenizers put none
};

class Detokenizer {
 public:
  /// `prompt_tail`: the last prompt tokens, so that a stream starts as a continuation (a leading blank is kept). May be
  /// empty.
  Detokenizer(std::shared_ptr<const Tokenizer> tokenizer, DetokenizerOptions options,
              const std::vector<TokenId>& prompt_tail = {});
  /// Take the next token; returns the text that is now certain (often empty in the middle of a character).
  std::string add(TokenId token) {
    std::string out;
    add(token, out);
    return out;
  }
  /// The same, at the end of `out`.
  void add(TokenId token, std::string& out);
  /// The stream has ended: what is held back comes out, ill-formed bytes as U+FFFD.
  std::string finish();

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  DetokenizerOptions options_;
  std::string pending_;   // bytes of an unfinished character
  bool at_start_ = true;  // nothing emitted and no prompt before: a SentencePiece blank is stripped here
};

}  // namespace vllm::text
