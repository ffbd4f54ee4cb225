#pragma once
// A tokenizer: added tokens, normalizer, pre-tokenizer, model (BPE, WordPiece or Unigram) and decoder put together.
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "text/tokenizer.h"
#include "text/tokenizer/added_tokens.h"
#include "text/tokenizer/bpe.h"
#include "text/tokenizer/decoder.h"
#include "text/tokenizer/normalizer.h"
#include "text/tokenizer/post_processor.h"
#include "text/tokenizer/pre_tokenizer.h"
#include "text/tokenizer/unigram.h"
#include "text/tokenizer/vocabulary.h"
#include "text/tokenizer/word_cache.h"
#include "text/tokenizer/word_piece.h"

namespace vllm::text {

/// Everything a tokenizer is made of. Texts are well-formed UTF-8.
struct TokenizerParts {
  std::shared_ptr<const Vocabulary> model;  // what the model knows
  std::vector<MergeRule> merges;            // of BPE
  BpeOptions bpe;
  std::optional<WordPieceOptions> word_piece;  // given: the model is WordPiece
  std::optional<UnigramOptions> unigram;       // given: the model is Unigram
  std::vector<AddedToken> added;  // their ids may lie past the model's; a text that the model knows has its id there
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  PostProcessor post_processor;
  Decoder decoder;
  std::optional<TokenId> bos, eos;
  std::string kind;  // for the description: "BPE, byte level"
};

class SubwordTokenizer final : public Tokenizer {
 public:
  /// kInvalidArgument if ids are out of range, shared or missing.
  static Result<std::shared_ptr<const Tokenizer>> make(TokenizerParts parts);

  Result<std::vector<TokenId>> encode(std::string_view text, const EncodeOptions& options) const override;
  std::string_view token_bytes(TokenId id) const override;
  std::optional<std::string_view> id_to_token(TokenId id) const override;
  std::optional<TokenId> token_to_id(std::string_view token) const override;
  bool is_special(TokenId id) const override;
  bool strips_leading_space() const override { return strips_leading_space_; }
  int vocab_size() const override { return vocabulary_->size(); }
  std::optional<TokenId> bos_id() const override { return bos_; }
  std::optional<TokenId> eos_id() const override { return eos_; }
  std::string description() const override { return description_; }

 private:
  /// Where in front of a text BPE with blanks (▁) gets one.
  enum class Prefix { kNever, kAlways, kUnlessBlank, kUnlessBlankAtStart };
  SubwordTokenizer(std::shared_ptr<const Vocabulary> vocabulary, TokenizerParts parts, std::optional<Prefix> blanks);
  static std::optional<Prefix> find_blanks(const TokenizerParts& parts);
  /// Added tokens that are looked for in normalized form are decoded in that form (unless special), as Hugging Face
  /// does.
  using Respelled = std::unordered_map<TokenId, std::string>;
  Result<Respelled> add_tokens(const std::vector<AddedToken>& added);
  void prepare_bytes(const Decoder& decoder, const Respelled& respelled);
  /// Where the ids of one encode() go: through `run` with BPE, else straight to `ids`.
  struct Sink {
    std::vector<TokenId>& ids;
    std::optional<Bpe::Run> run;
    void append(TokenId id) { run ? run->append(id) : ids.push_back(id); }
    /// To be called before a text that was given to `run` goes.
    void settle() {
      if (run) run->settle();
    }
  };
  std::string_view with_blanks(std::string_view text, bool at_start, std::string& storage) const;
  Status encode_part(std::string_view text, bool at_start, Sink& sink) const;
  Status encode_normalized(std::string_view text, bool at_start, Sink& sink) const;
  Status encode_words(std::string_view text, bool at_start, Sink& sink) const;

  std::shared_ptr<const Vocabulary> model_;       // without tokens that were only added
  std::shared_ptr<const Vocabulary> vocabulary_;  // model and added tokens; often the same object
  // Given: BPE reads ' ' as ▁, and neither normalizer_ nor pre_tokenizer_ has anything else to do to a text.
  std::optional<Prefix> blanks_;
  std::variant<Bpe, WordPiece, Unigram> subwords_;
  mutable WordCachePool word_caches_;  // of WordPiece and Unigram; BPE has its own
  AddedTokenMatcher raw_matcher_, normalized_matcher_;
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  PostProcessor post_processor_;
  std::vector<char> bytes_arena_;
  std::vector<std::string_view> bytes_;  // by id
  std::vector<bool> special_;            // by id
  bool strips_leading_space_;
  std::optional<TokenId> bos_, eos_;
  std::string description_;
};

}  // namespace vllm::text
