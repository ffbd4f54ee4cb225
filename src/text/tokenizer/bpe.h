#pragma once
// Byte-pair encoding of words: byte-level (GPT-2's), or over characters with byte fallback (SentencePiece's).
#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer/hash_map.h"
#include "text/tokenizer/vocabulary.h"
#include "types/types.h"

namespace vllm::text {

struct BpeOptions {
  bool byte_level = false;     // words are raw bytes; the vocabulary spells them in GPT-2's byte alphabet
  bool ignore_merges = false;  // a word that is a token is that token, whatever the merges say
  bool byte_fallback = false;  // an unknown character becomes its bytes' <0xNN> tokens, if the vocabulary has them all
  bool fuse_unk = false;       // adjacent unknown characters become one unknown token
  TokenId unk_id = -1;         // -1: unknown characters vanish
};
/// "left right merge with this rank": all ids are of the vocabulary.
struct MergeRule {
  TokenId left, right;
  Merge merge;
};

class Bpe {
 public:
  /// `vocabulary` must outlive the result.
  Bpe(const Vocabulary& vocabulary, const std::vector<MergeRule>& merges, const BpeOptions& options);

  /// Append the ids of one word (well-formed UTF-8, not empty). O(n log n) in its length. Thread-safe: what is
  /// remembered about short words lies in thread-local storage of fixed size.
  void encode(std::string_view word, std::vector<TokenId>& ids) const;

 private:
  void encode_chars(std::string_view word, std::vector<TokenId>& ids) const;
  void encode_cached(std::string_view word, std::vector<TokenId>& ids) const;
  void encode_piece(std::string_view piece, std::vector<TokenId>& ids) const;
  TokenId char_id(char32_t code) const;
  bool may_merge_across(char32_t left, char32_t right) const;
  void note_boundaries(const Vocabulary& vocabulary, const std::vector<MergeRule>& merges);

  BpeOptions options_;
  uint64_t serial_;  // tells this tokenizer's words from another's in the thread's cache; never reused
  MergeMap merges_;
  StringMap words_;  // ignore_merges: the raw text of every token
  std::vector<char> word_bytes_;
  std::array<TokenId, 256> byte_ids_;  // byte level: the byte's token; else its <0xNN> token; -1 if there is none
  std::vector<std::unique_ptr<std::array<TokenId, 256>>> char_ids_;  // by code >> 8; null where no character is a token
  std::vector<uint64_t> boundaries_;  // a set of (last character, first character) of merges; false hits are harmless
};

/// The raw bytes that a token spells in GPT-2's byte alphabet; false if it uses any other character.
bool from_byte_alphabet(std::string_view token, std::string& bytes);
/// The code point that stands for a byte in GPT-2's byte alphabet.
char32_t to_byte_alphabet(unsigned char byte);

}  // namespace vllm::text
