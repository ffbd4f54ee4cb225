#pragma once
// BERT's WordPiece: a word is cut into the longest known pieces from its start; a word that cannot be is unknown.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer/byte_trie.h"
#include "text/tokenizer/vocabulary.h"
#include "types/types.h"

namespace vllm::text {

struct WordPieceOptions {
  std::string continuation = "##";  // in front of pieces that do not start a word
  TokenId unk_id = -1;              // -1: unknown words vanish
  size_t max_chars = 100;           // longer words are unknown
};

class WordPiece {
 public:
  WordPiece(const Vocabulary& vocabulary, const WordPieceOptions& options);
  /// Append the ids of one word (well-formed UTF-8, not empty).
  void encode(std::string_view word, std::vector<TokenId>& ids) const;

 private:
  ByteTrie starts_, continuations_;
  WordPieceOptions options_;
};

}  // namespace vllm::text
