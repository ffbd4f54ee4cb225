// Reads the `tokenizer.ggml.*` keys of a GGUF file.
#include <deque>
#include <limits>

#include "base/log.h"
#include "hub/gguf.h"
#include "text/tokenizer/gguf_split_rules.h"
#include "text/tokenizer/spm_merges.h"
#include "text/tokenizer/subword_tokenizer.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

enum TokenType { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };
constexpr std::string_view kMetaspace = "\xE2\x96\x81";

template <typename T>
const std::vector<T>* get_list(const GgufFile& file, std::string_view key) {
  const GgufValue* value = file.find(key);
  return value ? std::get_if<std::vector<T>>(value) : nullptr;
}

struct Source {
  const GgufFile& file;
  std::deque<std::string> repaired;  // tokens that were no UTF-8; a deque keeps them in place
  std::vector<std::string_view> tokens;
  std::vector<int64_t> types;  // empty: all normal

  int64_t type(size_t i) const { return types.empty() ? int64_t{kNormal} : types[i]; }
  std::optional<TokenId> id(std::string_view key) const {
    const auto value = file.get_int(key);
    return value && *value >= 0 && *value < static_cast<int64_t>(tokens.size())
               ? std::optional(static_cast<TokenId>(*value))
               : std::nullopt;
  }
};

Status read_tokens(Source& source) {
  const auto* tokens = get_list<std::string_view>(source.file, "tokenizer.ggml.tokens");
  if (!tokens || tokens->empty()) return invalid_argument("tokenizer.ggml.tokens is missing or no list of strings");
  if (tokens->size() > static_cast<size_t>(std::numeric_limits<TokenId>::max()))
    return invalid_argument("too many tokens");
  for (const std::string_view token : *tokens) {
    source.tokens.push_back(is_utf8(token) ? token : source.repaired.emplace_back(repair_utf8(token)));
  }
  if (const auto* types = get_list<int64_t>(source.file, "tokenizer.ggml.token_type")) {
    if (types->size() != tokens->size()) {
      return invalid_argument("tokenizer.ggml.token_type has {} entries for {} tokens", types->size(), tokens->size());
    }
    source.types = *types;
  }
  return Status::ok();
}

// Control and user-defined tokens are cut out of the text before BPE; unused ones are padding.
Status add_vocabulary(const Source& source, bool keep_unused, TokenizerParts& parts) {
  std::vector<Vocabulary::Entry> tokens;
  tokens.reserve(source.tokens.size());
  for (size_t i = 0; i < source.tokens.size(); ++i) {
    const int64_t type = source.type(i);
    if (type == kUnused && !keep_unused) continue;
    tokens.push_back({source.tokens[i], static_cast<int64_t>(i)});
    if (type == kUnknown || type == kControl || type == kUserDefined) {
      parts.added.push_back(
          {.content = std::string(source.tokens[i]), .id = static_cast<TokenId>(i), .special = type != kUserDefined});
    }
  }
  ASSIGN_OR_RETURN(Vocabulary model, Vocabulary::build(tokens));
  parts.model = std::make_shared<const Vocabulary>(std::move(model));
  return Status::ok();
}

void add_bos_and_eos(const Source& source, bool default_bos, TokenizerParts& parts) {
  parts.bos = source.id("tokenizer.ggml.bos_token_id");
  parts.eos = source.id("tokenizer.ggml.eos_token_id");
  if (parts.bos && source.file.get_bool("tokenizer.ggml.add_bos_token").value_or(default_bos))
    parts.post_processor.before = {*parts.bos};
  if (parts.eos && source.file.get_bool("tokenizer.ggml.add_eos_token").value_or(false))
    parts.post_processor.after = {*parts.eos};
}

// "left right" lines, as in tokenizer.json. The first blank after the start separates: a token may be a blank itself.
Status read_merges(const Source& source, TokenizerParts& parts) {
  const auto* merges = get_list<std::string_view>(source.file, "tokenizer.ggml.merges");
  if (!merges) return invalid_argument("tokenizer.ggml.merges is missing or no list of strings");
  const Vocabulary& vocabulary = *parts.model;
  uint32_t rank = 0;
  std::string joined;
  for (const std::string_view merge : *merges) {
    const size_t blank = merge.find(' ', 1);
    if (blank == std::string_view::npos)
      return invalid_argument("tokenizer.ggml.merges: entry {} is not of the form \"left right\"", rank);
    const std::string_view left = merge.substr(0, blank), right = merge.substr(blank + 1);
    joined.assign(left).append(right);
    const TokenId left_id = vocabulary.find(left), right_id = vocabulary.find(right), id = vocabulary.find(joined);
    if (left_id < 0 || right_id < 0 || id < 0) {
      return invalid_argument("tokenizer.ggml.merges: entry {} (\"{:.80}\") uses a token that is not in the vocabulary",
                              rank, repair_utf8(merge));
    }
    parts.merges.push_back({left_id, right_id, {rank++, id}});
  }
  return Status::ok();
}

Status read_byte_level(const Source& source, TokenizerParts& parts) {
  std::string_view pre = source.file.get_string("tokenizer.ggml.pre").value_or("default");
  if (pre == "default") {
    LOG_WARNING(
        "The GGUF file does not say how its tokenizer splits words (tokenizer.ggml.pre): GPT-2's rule is assumed.");
    pre = "gpt-2";
  }
  ASSIGN_OR_RETURN(GgufSplitRule rule, gguf_split_rule(pre));
  RETURN_IF_ERROR(add_vocabulary(source, false, parts));
  RETURN_IF_ERROR(read_merges(source, parts));
  parts.bpe.byte_level = true;
  parts.bpe.ignore_merges = rule.ignore_merges;
  if (rule.nfc) parts.normalizer = Normalizer({NormalizeForm::kNfc});
  parts.pre_tokenizer = std::move(rule.pre_tokenizer);
  parts.decoder = Decoder::make_byte_level();
  parts.kind = "BPE, byte level";
  add_bos_and_eos(source, rule.add_bos, parts);
  return Status::ok();
}

// SentencePiece's BPE: merges follow from the scores ("llama"), or are listed ("gemma4").
Status read_sentencepiece(const Source& source, bool listed_merges, TokenizerParts& parts) {
  RETURN_IF_ERROR(add_vocabulary(source, true, parts));
  if (listed_merges) {
    RETURN_IF_ERROR(read_merges(source, parts));
  } else {
    const auto* scores = get_list<double>(source.file, "tokenizer.ggml.scores");
    if (!scores || scores->size() != source.tokens.size()) {
      return invalid_argument("tokenizer.ggml.scores is missing or does not have one entry per token");
    }
    parts.merges = spm_merges(*parts.model, *scores);
  }
  const bool prefix = source.file.get_bool("tokenizer.ggml.add_space_prefix").value_or(!listed_merges);
  std::vector<NormalizeStep> steps;
  if (prefix) steps.emplace_back(NormalizePrepend{std::string(kMetaspace)});
  steps.emplace_back(NormalizeReplace{.literal = " ", .regex = nullptr, .content = std::string(kMetaspace)});
  parts.normalizer = Normalizer(std::move(steps));
  parts.bpe.byte_fallback = true;
  parts.bpe.fuse_unk = true;
  parts.bpe.unk_id = source.id("tokenizer.ggml.unknown_token_id").value_or(-1);
  parts.decoder = Decoder::make_sentencepiece(prefix);
  parts.kind = "SentencePiece BPE";
  add_bos_and_eos(source, true, parts);
  return Status::ok();
}

// BERT: pieces that start a word are written with a ▁ in front, the others without ## (control tokens are as they are).
Status read_word_piece(const Source& source, TokenizerParts& parts) {
  std::vector<Vocabulary::Entry> tokens;
  std::deque<std::string> spelled;
  for (size_t i = 0; i < source.tokens.size(); ++i) {
    std::string_view text = source.tokens[i];
    const int64_t type = source.type(i);
    if (type == kUnknown || type == kControl) {
      parts.added.push_back({.content = std::string(text), .id = static_cast<TokenId>(i), .special = true});
    } else if (text.starts_with(kMetaspace)) {
      text.remove_prefix(kMetaspace.size());
    } else if (type != kUnused) {
      text = spelled.emplace_back("##" + std::string(text));
    }
    tokens.push_back({text, static_cast<int64_t>(i)});
  }
  ASSIGN_OR_RETURN(Vocabulary model, Vocabulary::build(tokens));
  parts.model = std::make_shared<const Vocabulary>(std::move(model));
  parts.word_piece = WordPieceOptions{.unk_id = source.id("tokenizer.ggml.unknown_token_id").value_or(-1)};
  const bool lowercase = source.file.get_bool("tokenizer.ggml.normalizer.lowercase").value_or(true);
  const bool accents = source.file.get_bool("tokenizer.ggml.normalizer.strip_accents").value_or(lowercase);
  parts.normalizer = Normalizer({NormalizeBert{.strip_accents = accents, .lowercase = lowercase}});
  parts.pre_tokenizer = PreTokenizer({SplitStep{.matcher = CharRule::kWhitespace, .behavior = SplitBehavior::kRemoved},
                                      SplitStep{.matcher = CharRule::kPunctuation}},
                                     false);
  parts.decoder = Decoder::make_word_piece("##", true);
  parts.kind = "WordPiece";
  auto cls = source.id("tokenizer.ggml.cls_token_id");
  if (!cls) cls = source.id("tokenizer.ggml.bos_token_id");
  auto sep = source.id("tokenizer.ggml.seperator_token_id");  // the key's own spelling
  if (!sep) sep = source.id("tokenizer.ggml.eos_token_id");
  parts.bos = cls;
  parts.eos = sep;
  if (cls && source.file.get_bool("tokenizer.ggml.add_bos_token").value_or(true)) parts.post_processor.before = {*cls};
  if (sep && source.file.get_bool("tokenizer.ggml.add_sep_token").value_or(true)) parts.post_processor.after = {*sep};
  return Status::ok();
}

// T5 and XLM-R: SentencePiece's unigram model with its character map.
Status read_unigram(const Source& source, TokenizerParts& parts) {
  RETURN_IF_ERROR(add_vocabulary(source, true, parts));
  const auto* scores = get_list<double>(source.file, "tokenizer.ggml.scores");
  if (!scores || scores->size() != source.tokens.size())
    return invalid_argument("tokenizer.ggml.scores is missing or does not have one entry per token");
  parts.unigram = UnigramOptions{
      .scores = *scores, .unk_id = source.id("tokenizer.ggml.unknown_token_id").value_or(-1), .single_precision = true};
  std::string map_bytes;
  if (const auto* bytes = get_list<int64_t>(source.file, "tokenizer.ggml.precompiled_charsmap")) {
    for (const int64_t byte : *bytes) map_bytes += static_cast<char>(byte);
  }
  ASSIGN_OR_RETURN(Charsmap map, Charsmap::parse(map_bytes));
  SentencePieceRules rules;
  rules.add_dummy_prefix = source.file.get_bool("tokenizer.ggml.add_space_prefix").value_or(true);
  rules.remove_extra_whitespaces = source.file.get_bool("tokenizer.ggml.remove_extra_whitespaces").value_or(false);
  parts.normalizer = Normalizer({NormalizeCharsmap{std::make_shared<const Charsmap>(std::move(map)), rules}});
  parts.decoder = Decoder::make_sentencepiece(rules.add_dummy_prefix);
  parts.kind = "Unigram";
  add_bos_and_eos(source, false, parts);
  if (!source.file.find("tokenizer.ggml.add_eos_token") && parts.eos) parts.post_processor.after = {*parts.eos};
  return Status::ok();
}

Result<std::shared_ptr<const Tokenizer>> load(const GgufFile& file) {
  const std::string_view model = file.get_string("tokenizer.ggml.model").value_or("");
  Source source{.file = file, .repaired = {}, .tokens = {}, .types = {}};
  TokenizerParts parts;
  if (model != "gpt2" && model != "llama" && model != "gemma4" && model != "bert" && model != "t5") {
    return error(ErrorCode::kUnimplemented,
                 "tokenizer model \"{:.60}\" is not supported (known: gpt2, llama, gemma4, bert, t5)", model);
  }
  RETURN_IF_ERROR(read_tokens(source));
  if (model == "gpt2")
    RETURN_IF_ERROR(read_byte_level(source, parts));
  else if (model == "bert")
    RETURN_IF_ERROR(read_word_piece(source, parts));
  else if (model == "t5")
    RETURN_IF_ERROR(read_unigram(source, parts));
  else
    RETURN_IF_ERROR(read_sentencepiece(source, model == "gemma4", parts));
  return SubwordTokenizer::make(std::move(parts));
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> load_gguf_tokenizer(const GgufFile& file) {
  return load(file).with_context("tokenizer of the GGUF file");
}

}  // namespace vllm::text
