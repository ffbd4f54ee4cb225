#pragma once
// Byte-pair encoding of words: byte-level (GPT-2's), or over characters with byte fallback (SentencePiece's).
#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer/hash_map.h"
#include "text/tokenizer/vocabulary.h"
#include "text/tokenizer/word_cache.h"
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

  /// Encodes the words of one text. O(n log n) in the length of a word; nothing is allocated for a word that was seen
  /// lately. One thread at a time.
  class Run {
   public:
    Run(const Bpe& bpe, std::vector<TokenId>& ids) : bpe_(bpe), ids_(ids), cache_(bpe.caches_->take()) {}
    Run(const Run&) = delete;
    ~Run() {
      flush();
      bpe_.caches_->put(std::move(cache_));
    }
    /// Append the ids of the word text[begin, end) (not empty; well-formed unless byte-level).
    void word(std::string_view text, size_t begin, size_t end);
    /// Append a token that is no word's.
    void append(TokenId id) {
      if (count_ == kBuffer) flush();
      buffer_[count_++] = id;
    }

   private:
    static constexpr size_t kBuffer = 1024;
    void flush() {
      ids_.insert(ids_.end(), buffer_, buffer_ + count_);
      count_ = 0;
    }
    void cached(std::string_view text, size_t begin, size_t end, bool piece);
    void cached_long(std::string_view word);
    void uncached(std::string_view word, bool piece);
    void cut_bytes(std::string_view text, size_t begin, size_t end);
    void cut_chars(std::string_view text, size_t begin, size_t end);
    void cut_long_chars(std::string_view text, size_t begin, size_t end);
    bool symbols_of_characters(std::string_view word);

    const Bpe& bpe_;
    std::vector<TokenId>& ids_;
    std::unique_ptr<WordCache> cache_;
    size_t count_ = 0;  // of buffer_
    TokenId buffer_[kBuffer];
    std::vector<TokenId> symbols_, bytes_, found_;
  };

 private:
  void symbols_of(std::string_view piece, std::vector<TokenId>& symbols) const;
  TokenId char_id(char32_t code) const;
  bool may_merge_across(char32_t left, char32_t right) const;
  bool may_merge_bytes_across(std::string_view word, size_t cut) const;
  void note_characters(const Vocabulary& vocabulary);
  void note_boundaries(const Vocabulary& vocabulary, const std::vector<MergeRule>& merges);
  void note_words(const Vocabulary& vocabulary);

  BpeOptions options_;
  MergeMap merges_;
  StringMap words_;  // ignore_merges: the raw text of every token
  std::vector<char> word_bytes_;
  std::vector<std::string_view> word_texts_;  // by id, in word_bytes_
  std::array<TokenId, 256> byte_ids_;  // byte level: the byte's token; else its <0xNN> token; -1 if there is none
  std::vector<std::unique_ptr<std::array<TokenId, 256>>> char_ids_;  // by code >> 8; null where no character is a token
  // Where two symbols may meet and merge; false hits are harmless. By characters: the last of the left and the first of
  // the right, exact for pairs of ASCII and ▁. By bytes: three of each, and exact pairs for merges of something
  // shorter.
  std::vector<uint64_t> boundaries_, exact_boundaries_;
  std::vector<Merge> byte_merges_;  // byte level: the merge of each pair of bytes; id -1 if there is none
  std::unique_ptr<WordCachePool> caches_ = std::make_unique<WordCachePool>();
};

/// The raw bytes that a token spells in GPT-2's byte alphabet; false if it uses any other character.
bool from_byte_alphabet(std::string_view token, std::string& bytes);
/// The same, appended; `bytes` is as it was if the answer is false.
bool append_byte_alphabet(std::string_view token, std::vector<char>& bytes);
/// The code point that stands for a byte in GPT-2's byte alphabet.
char32_t to_byte_alphabet(unsigned char byte);

}  // namespace vllm::text
