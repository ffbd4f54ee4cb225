#pragma once
// Text to token ids and back, as Hugging Face `tokenizers` does it. Immutable after loading: shared by all threads.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "types/types.h"

namespace vllm {
class GgufFile;
}

namespace vllm::text {

struct EncodeOptions {
  bool add_special_tokens = true;  // run the post-processor (BOS and the like)
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  /// Token ids of UTF-8 text; added tokens in the text are recognised, as Hugging Face does. Ill-formed UTF-8 is read
  /// as U+FFFD per maximal bad part. Linear time for the known split rules. Fails only where PCRE2's limits are hit.
  virtual Result<std::vector<TokenId>> encode(std::string_view text, const EncodeOptions& options = {}) const = 0;

  /// The raw bytes a token stands for (may be a part of a character); for special tokens their text. Empty for an
  /// unknown id.
  virtual std::string_view token_bytes(TokenId id) const = 0;
  /// The token as the vocabulary spells it ("Ġthe", "▁the", "<0x0A>"); nullopt for an unknown id. This is `token_strs`
  /// of /tokenize.
  virtual std::optional<std::string_view> id_to_token(TokenId id) const = 0;
  virtual std::optional<TokenId> token_to_id(std::string_view token) const = 0;
  virtual bool is_special(TokenId id) const = 0;
  /// True for tokenizers whose decoder strips one leading blank of the whole text (SentencePiece).
  virtual bool strips_leading_space() const = 0;

  /// Ids run from 0 to vocab_size() - 1 (added tokens included).
  virtual int vocab_size() const = 0;
  virtual std::optional<TokenId> bos_id() const = 0;
  virtual std::optional<TokenId> eos_id() const = 0;
  /// One line for the log: "BPE, byte level, split rule qwen2, 151936 tokens".
  virtual std::string description() const = 0;

  /// Whole-text decode, equal to Hugging Face's `decode(ids, skip_special_tokens)` with
  /// clean_up_tokenization_spaces=False. Bytes that are no UTF-8 become U+FFFD, one per maximal bad part. (Hugging
  /// Face's ByteFallback instead turns every byte of a run of <0xNN> tokens into one if any of them is bad; a stream
  /// could then never show a character before the run ends.)
  std::string decode(const std::vector<TokenId>& ids, bool skip_special_tokens = false) const;
};

/// vLLM's --tokenizer-mode. kAuto is kMistral for a folder with consolidated*.safetensors and tekken.json or
/// tokenizer.model.v*, else kHf.
enum class TokenizerMode { kAuto, kHf, kMistral };
/// From a checkpoint folder. kHf: tokenizer.json, else tokenizer.model (SentencePiece or tiktoken), *.tiktoken or
/// tiktoken.model, else vocab.json and merges.txt, each with tokenizer_config.json beside it, else what kMistral takes.
/// kMistral: tekken.json, else tokenizer.model or tokenizer.model.v*; control tokens are not found in a text. kNotFound
/// if there is none.
Result<std::shared_ptr<const Tokenizer>> load_tokenizer(const std::filesystem::path& dir,
                                                        TokenizerMode mode = TokenizerMode::kAuto);
/// From the text of a tokenizer.json (and of tokenizer_config.json, may be empty).
Result<std::shared_ptr<const Tokenizer>> parse_tokenizer_json(std::string_view tokenizer_json,
                                                              std::string_view config_json);
/// From the `tokenizer.ggml.*` keys of a GGUF file.
Result<std::shared_ptr<const Tokenizer>> load_gguf_tokenizer(const GgufFile& file);

}  // namespace vllm::text
