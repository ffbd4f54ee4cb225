#pragma once
// Vocabularies in their makers' own files, and which file of a checkpoint folder is the tokenizer. All readers take
// outside bytes: an error with a reason, or parts to build a tokenizer from.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer/subword_tokenizer.h"

namespace vllm::text {

/// tiktoken's text form, "base64 rank" a line: Llama 3 and 4 (tokenizer.model), Qwen (*.tiktoken), Kimi K2
/// (tiktoken.model), cl100k, p50k, o200k. The number of tokens tells the family, which gives split rule and special
/// tokens: kUnimplemented lists the known ones.
Result<TokenizerParts> parse_tiktoken(std::string_view text);
bool looks_like_tiktoken(std::string_view text);

/// Mistral's tekken.json. Control tokens are never found in a text, as in mistral-common.
Result<TokenizerParts> parse_tekken(std::string_view text);

/// What SentencePiece's protobuf holds.
struct SpmModel {
  enum class Kind { kUnigram = 1, kBpe = 2 } kind = Kind::kUnigram;
  enum Type { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };
  struct Piece {
    std::string_view text;  // in the file's bytes
    float score = 0;
    int type = kNormal;
  };
  std::vector<Piece> pieces;  // by id
  int64_t unk_id = 0, bos_id = 1, eos_id = 2;
  bool byte_fallback = false;
  bool add_dummy_prefix = true, remove_extra_whitespaces = true;
  std::string_view charsmap;
};
/// Read the fields that tokenization needs; others are skipped. kUnimplemented for word and character models.
Result<SpmModel> parse_spm_proto(std::string_view bytes);
/// tokenizer.model. With `control_in_text`, control tokens are found in a text, as transformers does; SentencePiece and
/// mistral-common do not.
Result<TokenizerParts> parse_sentencepiece(std::string_view bytes, bool control_in_text);

/// Parts of a byte-level BPE whose merges follow from the tokens' ids: any two neighbours merge whose joined bytes are
/// a token, lowest id first. Ids of `tokens` (raw bytes; empty ones are holes) run from `first_id`.
Result<TokenizerParts> make_ranked_bpe(const std::vector<std::string>& tokens, TokenId first_id,
                                       std::string_view split_rule);

/// The tokenizer.json that GPT-2's two files stand for. transformers' class gives the split rule: kUnimplemented lists
/// the known ones.
Result<std::string> join_vocab_and_merges(std::string_view vocab_json, std::string_view merges_txt,
                                          std::string_view tokenizer_class, bool add_prefix_space);
/// vocab.json and merges.txt with tokenizer_config.json, or what older folders have instead of its
/// added_tokens_decoder: special_tokens_map.json, added_tokens.json. Without a tokenizer_class, config.json's
/// model_type tells it.
Result<std::shared_ptr<const Tokenizer>> load_vocab_and_merges(const std::filesystem::path& dir);

/// tokenizer.json with tokenizer_config.json beside it.
Result<std::shared_ptr<const Tokenizer>> load_tokenizer_json(const std::filesystem::path& dir);

}  // namespace vllm::text
