#pragma once
// SentencePiece's unigram model: of all ways to cut a word into pieces, the one with the highest sum of scores.
#include <array>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer/byte_trie.h"
#include "text/tokenizer/vocabulary.h"
#include "types/types.h"

namespace vllm::text {

struct UnigramOptions {
  std::vector<double> scores;  // by id; log probabilities. What is no number is never a piece of a text
  TokenId unk_id = -1;         // -1: unknown characters vanish
  bool byte_fallback = false;  // unknown characters become their bytes' <0xNN> tokens, if the vocabulary has them all
  bool single_precision = false;  // sums in float, as SentencePiece; Hugging Face uses double
};

class Unigram {
 public:
  Unigram(const Vocabulary& vocabulary, UnigramOptions options);
  /// Append the ids of one word (well-formed UTF-8, not empty). Adjacent unknown characters are one unknown token.
  /// Time is the word's length times the longest piece's; memory 16 bytes for each byte of the word.
  void encode(std::string_view word, std::vector<TokenId>& ids) const;

 private:
  void append_unknown(std::string_view text, std::vector<TokenId>& ids) const;

  const Vocabulary* vocabulary_;
  UnigramOptions options_;
  ByteTrie pieces_;
  double unk_score_ = 0;
  std::array<TokenId, 256> byte_ids_;  // -1 if there is none
};

}  // namespace vllm::text
