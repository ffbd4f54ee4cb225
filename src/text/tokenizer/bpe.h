#pragma once
// Byte-pair encoding of words: byte-level (GPT-2's), or over characters with byte fallback (SentencePiece's).
#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer/hash_map.h"
#include "text/tokenizer/seams.h"
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
  bool blanks = false;         // words have ' ' where the vocabulary, which knows it, has SentencePiece's blank (▁)
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
      settle();
      flush();
      bpe_.caches_->put(std::move(cache_));
    }
    /// Append the ids of the word text[begin, end) (not empty; well-formed unless byte-level). `text` must stay until
    /// settle().
    void word(std::string_view text, size_t begin, size_t end);
    /// Append a token that is no word's.
    void append(TokenId id) {
      waiting_[num_waiting_].size = 0;
      waiting_[num_waiting_].place = static_cast<uint32_t>(id);
      if (++num_waiting_ == kMaxWaiting) settle();
    }
    /// Encode what word() was given: words wait in a queue while the cache's lines for them are fetched.
    void settle();

   private:
    friend class Bpe;
    static constexpr size_t kMaxIds = 1024, kMaxWaiting = 32;
    struct Waiting {
      WordKey key;  // of a short one
      const char* text;
      uint32_t size;   // 0: the token `place`
      uint32_t place;  // in the cache, of a short one
      bool piece;      // a part of a word
    };
    void flush() {
      ids_.insert(ids_.end(), buffer_, buffer_ + num_ids_);
      num_ids_ = 0;
    }
    void push(std::string_view text, size_t begin, size_t end, bool piece);
    void cut_bytes(std::string_view text, size_t begin, size_t end);
    void cut_chars(std::string_view text, size_t begin, size_t end);
    void resolve_new(const Waiting& word);
    void merge(std::string_view word, bool piece);
    bool symbols_of_characters(std::string_view word);
    bool is_whole(std::string_view word, size_t pos) const;

    const Bpe& bpe_;
    std::vector<TokenId>& ids_;
    std::unique_ptr<WordCache> cache_;
    size_t num_ids_ = 0, num_waiting_ = 0;
    TokenId buffer_[kMaxIds];
    Waiting waiting_[kMaxWaiting];
    std::vector<TokenId> symbols_, found_;
  };

 private:
  void symbols_of(std::string_view piece, std::vector<TokenId>& symbols) const;
  TokenId char_id(char32_t code) const {
    const size_t page = code >> 8;
    return page < char_ids_.size() && char_ids_[page] ? (*char_ids_[page])[code & 255] : -1;
  }
  /// Byte level: the highest rank of the merges that make a character which is a token.
  uint32_t char_rank(char32_t code) const { return (*char_ranks_[code >> 8])[code & 255]; }
  uint32_t rank_of_character(std::string_view bytes) const;
  bool cuts_ascii(size_t left, size_t right) const {
    return (ascii_cuts_[left * 2 + right / 64] >> right % 64 & 1) != 0;
  }
  void set_char_id(char32_t code, TokenId id, uint32_t rank = 0);
  bool is_known_ascii(std::string_view word) const;
  void note_characters(const Vocabulary& vocabulary);
  void note_byte_characters(const Vocabulary& vocabulary);
  void note_pairs();
  void note_seams(const Vocabulary& vocabulary, const std::vector<MergeRule>& merges);
  void note_words(const Vocabulary& vocabulary);
  void fill_cache(const Vocabulary& vocabulary);

  BpeOptions options_;
  MergeMap merges_;
  StringMap words_;  // ignore_merges: the raw text of every token
  std::vector<char> word_bytes_;
  std::vector<std::string_view> word_texts_;  // by id, in word_bytes_
  std::array<TokenId, 256> byte_ids_;  // byte level: the byte's token; else its <0xNN> token; -1 if there is none
  // By code >> 8; null where no character is a token. Byte level: characters of two or three bytes that merge to one.
  std::vector<std::unique_ptr<std::array<TokenId, 256>>> char_ids_;
  std::vector<std::unique_ptr<std::array<uint32_t, 256>>> char_ranks_;
  Seams seams_;
  std::array<uint64_t, 128 * 2> ascii_cuts_{};  // pairs of known ASCII characters that no merge joins
  std::vector<Merge> byte_merges_;  // the merge of each pair of bytes (byte level) or of ASCII characters; id -1: none
  std::unique_ptr<WordCachePool> caches_ = std::make_unique<WordCachePool>();
};

/// The raw bytes that a token spells in GPT-2's byte alphabet; false if it uses any other character.
bool from_byte_alphabet(std::string_view token, std::string& bytes);
/// The same, appended; `bytes` is as it was if the answer is false.
bool append_byte_alphabet(std::string_view token, std::vector<char>& bytes);
/// The code point that stands for a byte in GPT-2's byte alphabet.
char32_t to_byte_alphabet(unsigned char byte);

}  // namespace vllm::text
