// Reads tokenizer.json (Hugging Face `tokenizers` 0.x, version "1.0") with a BPE, WordPiece or Unigram model.
#include <algorithm>
#include <limits>

#include "base/mapped_file.h"
#include "text/tokenizer/json_cut.h"
#include "text/tokenizer/raw_vocabularies.h"
#include "text/tokenizer/subword_tokenizer.h"
#include "text/tokenizer/tokenizer_config.h"

namespace vllm::text {
namespace {

constexpr size_t kMaxEntries = 16'000'000;

const json::value& member(const json::object& object, std::string_view key) {
  static const json::value null;
  const json::value* found = object.if_contains(key);
  return found ? *found : null;
}

// An option that must be absent, null, empty or false.
Status refuse_option(const json::object& model, std::string_view key) {
  const json::value& value = member(model, key);
  if (value.is_null() || (value.is_string() && value.get_string().empty())) return Status::ok();
  if (value.is_number() && value.to_number<double>() == 0) return Status::ok();
  return error(ErrorCode::kUnimplemented, "BPE option `{}` is not supported", key);
}

Status read_vocab(const json::object& model, const CutTokenizerJson* cut, TokenizerParts& parts) {
  if (cut) {
    if (cut->vocab.size() > kMaxEntries) return invalid_argument("model.vocab has more than {} tokens", kMaxEntries);
    ASSIGN_OR_RETURN(Vocabulary model_tokens, Vocabulary::build(cut->vocab));
    parts.model = std::make_shared<const Vocabulary>(std::move(model_tokens));
    return Status::ok();
  }
  const json::object* vocab = get_object(model, "vocab");
  if (!vocab) return invalid_argument("model.vocab is missing or no object");
  if (vocab->size() > kMaxEntries) return invalid_argument("model.vocab has more than {} tokens", kMaxEntries);
  std::vector<Vocabulary::Entry> tokens;
  tokens.reserve(vocab->size());
  for (const auto& [text, id] : *vocab) {
    if (!id.is_int64())
      return invalid_argument("model.vocab: the id of \"{:.40}\" is no integer", std::string_view(text));
    tokens.push_back({{text.data(), text.size()}, id.get_int64()});
  }
  ASSIGN_OR_RETURN(Vocabulary model_tokens, Vocabulary::build(tokens));
  parts.model = std::make_shared<const Vocabulary>(std::move(model_tokens));
  return Status::ok();
}

// Finds the ids of each merge, and of its result. The tables are larger than the caches: a few merges are looked up at
// once, so that the waiting for memory overlaps.
class MergeReader {
 public:
  MergeReader(const Vocabulary& vocabulary, std::vector<MergeRule>& rules) : vocabulary_(vocabulary), rules_(rules) {}

  /// The views must stay until finish().
  Status add(std::string_view left, std::string_view right) {
    waiting_[count_++] = {left, right};
    return count_ == kBatch ? finish() : Status::ok();
  }
  Status finish() {
    StringMap::Query queries[3 * kBatch];
    size_t used = 0;
    for (size_t i = 0; i < count_; ++i) {
      const auto [left, right] = waiting_[i];
      queries[3 * i] = vocabulary_.query(left);
      queries[3 * i + 1] = vocabulary_.query(right);
      if (left.size() + right.size() <= kJoined - used) {
        std::copy(left.begin(), left.end(), joined_ + used);
        std::copy(right.begin(), right.end(), joined_ + used + left.size());
        queries[3 * i + 2] = vocabulary_.query({joined_ + used, left.size() + right.size()});
        used += left.size() + right.size();
      } else {
        queries[3 * i + 2] = vocabulary_.query(long_[i].assign(left).append(right));
      }
    }
    for (size_t i = 0; i < 3 * count_; ++i) vocabulary_.prefetch(queries[i]);
    for (size_t i = 0; i < count_; ++i) {
      TokenId ids[3];
      for (size_t k = 0; k < 3; ++k) {
        ids[k] = vocabulary_.find(queries[3 * i + k]);
        if (ids[k] < 0) {
          return invalid_argument(
              "model.merges: entry {} (\"{:.40}\" + \"{:.40}\") uses a token that is not in the vocabulary",
              rules_.size(), waiting_[i].first, waiting_[i].second);
        }
      }
      rules_.push_back({ids[0], ids[1], {static_cast<uint32_t>(rules_.size()), ids[2]}});
    }
    count_ = 0;
    return Status::ok();
  }

 private:
  static constexpr size_t kBatch = 32, kJoined = 1024;
  const Vocabulary& vocabulary_;
  std::vector<MergeRule>& rules_;
  std::pair<std::string_view, std::string_view> waiting_[kBatch];
  size_t count_ = 0;
  char joined_[kJoined];
  std::string long_[kBatch];
};

// "left right", or ["left", "right"]; the result must be a token.
Status read_merge(const json::value& value, size_t rank, MergeReader& reader) {
  std::string_view left, right;
  if (const json::string* joined = value.if_string()) {
    const std::string_view text(joined->data(), joined->size());
    const size_t blank = text.find(' ');
    if (blank == std::string_view::npos || text.find(' ', blank + 1) != std::string_view::npos) {
      return invalid_argument("model.merges: entry {} is not of the form \"left right\"", rank);
    }
    left = text.substr(0, blank);
    right = text.substr(blank + 1);
  } else {
    const json::array* pair = value.if_array();
    if (!pair || pair->size() != 2 || !(*pair)[0].is_string() || !(*pair)[1].is_string()) {
      return invalid_argument("model.merges: entry {} is no pair of strings", rank);
    }
    left = {(*pair)[0].get_string().data(), (*pair)[0].get_string().size()};
    right = {(*pair)[1].get_string().data(), (*pair)[1].get_string().size()};
  }
  return reader.add(left, right);
}

Status read_merges(const json::object& model, const CutTokenizerJson* cut, TokenizerParts& parts) {
  MergeReader reader(*parts.model, parts.merges);
  if (cut) {
    if (cut->merges.size() > kMaxEntries) return invalid_argument("model.merges has more than {} entries", kMaxEntries);
    parts.merges.reserve(cut->merges.size());
    for (const auto& [left, right] : cut->merges) RETURN_IF_ERROR(reader.add(left, right));
    return reader.finish();
  }
  const json::array* merges = get_array(model, "merges");
  if (!merges) return invalid_argument("model.merges is missing or no list");
  if (merges->size() > kMaxEntries) return invalid_argument("model.merges has more than {} entries", kMaxEntries);
  parts.merges.reserve(merges->size());
  size_t rank = 0;
  for (const json::value& merge : *merges) RETURN_IF_ERROR(read_merge(merge, rank++, reader));
  return reader.finish();
}

Result<TokenId> read_unk(const json::object& model, const Vocabulary& vocabulary) {
  const auto unk = get_string(model, "unk_token");
  if (!unk || unk->empty()) return TokenId{-1};
  const TokenId id = vocabulary.find(*unk);
  if (id < 0) return invalid_argument("model.unk_token \"{:.40}\" is not in the vocabulary", *unk);
  return id;
}

Status read_word_piece(const json::object& model, TokenizerParts& parts) {
  RETURN_IF_ERROR(read_vocab(model, nullptr, parts));
  WordPieceOptions options;
  options.continuation = get_string(model, "continuing_subword_prefix").value_or("##");
  ASSIGN_OR_RETURN(options.unk_id, read_unk(model, *parts.model));
  const int64_t max_chars = get_int(model, "max_input_chars_per_word").value_or(100);
  if (max_chars < 1 || max_chars > 1000) {
    return error(ErrorCode::kUnimplemented, "WordPiece: max_input_chars_per_word {} is not supported (1 to 1000)",
                 max_chars);
  }
  options.max_chars = static_cast<size_t>(max_chars);
  parts.word_piece = std::move(options);
  parts.kind = "WordPiece";
  return Status::ok();
}

// [["piece", score], ...]: ids are places in the list.
Status read_unigram(const json::object& model, TokenizerParts& parts) {
  const json::array* vocab = get_array(model, "vocab");
  if (!vocab) return invalid_argument("model.vocab is missing or no list");
  if (vocab->size() > kMaxEntries) return invalid_argument("model.vocab has more than {} tokens", kMaxEntries);
  UnigramOptions options;
  std::vector<Vocabulary::Entry> tokens;
  for (const json::value& value : *vocab) {
    const json::array* pair = value.if_array();
    if (!pair || pair->size() != 2 || !(*pair)[0].is_string() || !(*pair)[1].is_number())
      return invalid_argument("model.vocab: entry {} is no pair of a piece and its score", tokens.size());
    const json::string& text = (*pair)[0].get_string();
    tokens.push_back({{text.data(), text.size()}, static_cast<int64_t>(tokens.size())});
    options.scores.push_back((*pair)[1].to_number<double>());
  }
  ASSIGN_OR_RETURN(Vocabulary vocabulary, Vocabulary::build(tokens));
  parts.model = std::make_shared<const Vocabulary>(std::move(vocabulary));
  options.byte_fallback = get_bool(model, "byte_fallback").value_or(false);
  if (const auto unk = get_int(model, "unk_id")) {
    if (!parts.model->has(static_cast<TokenId>(std::clamp<int64_t>(*unk, -1, std::numeric_limits<TokenId>::max()))))
      return invalid_argument("model.unk_id {} is no token", *unk);
    options.unk_id = static_cast<TokenId>(*unk);
  }
  parts.unigram = std::move(options);
  parts.kind = "Unigram";
  return Status::ok();
}

Status read_model(const json::object& model, const CutTokenizerJson* cut, TokenizerParts& parts) {
  const auto type = get_string(model, "type");
  // Files older than the field have merges only if they are BPE.
  if (type == "WordPiece") return read_word_piece(model, parts);
  if (type == "Unigram" || (!type && get_array(model, "vocab"))) return read_unigram(model, parts);
  if (type ? *type != "BPE" : !model.contains("merges")) {
    return error(ErrorCode::kUnimplemented, "tokenizer model {} is not supported (known: BPE, WordPiece, Unigram)",
                 type.value_or("without a type"));
  }
  for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"})
    RETURN_IF_ERROR(refuse_option(model, key));
  RETURN_IF_ERROR(read_vocab(model, cut, parts));
  const Vocabulary& vocabulary = *parts.model;
  parts.bpe.ignore_merges = get_bool(model, "ignore_merges").value_or(false);
  parts.bpe.byte_fallback = get_bool(model, "byte_fallback").value_or(false);
  parts.bpe.fuse_unk = get_bool(model, "fuse_unk").value_or(false);
  ASSIGN_OR_RETURN(parts.bpe.unk_id, read_unk(model, vocabulary));
  return read_merges(model, cut, parts);
}

Status read_added_tokens(const json::object& root, TokenizerParts& parts) {
  const json::value& list = member(root, "added_tokens");
  if (list.is_null()) return Status::ok();
  if (!list.is_array()) return invalid_argument("added_tokens is no list");
  for (const json::value& value : list.get_array()) {
    const json::object* object = value.if_object();
    const auto id = object ? get_int(*object, "id") : std::nullopt;
    if (!id) return invalid_argument("added_tokens: an entry has no integer `id`");
    ASSIGN_OR_RETURN(AddedToken token, parse_added_token(value, *id));
    parts.added.push_back(std::move(token));
  }
  return Status::ok();
}

// With `may_cut`, the two big lists are read past the JSON library, if they are plain.
Result<std::shared_ptr<const Tokenizer>> parse(std::string_view tokenizer_json, std::string_view config_json,
                                               bool may_cut = true) {
  std::optional<CutTokenizerJson> cut;
  if (may_cut) cut = cut_tokenizer_json(tokenizer_json);
  ASSIGN_OR_RETURN(const json::value document, parse_json(cut ? std::string_view(cut->rest) : tokenizer_json));
  const json::object* root = document.if_object();
  const json::object* model = root ? get_object(*root, "model") : nullptr;
  if (!model) return invalid_argument("no object `model`");
  // The cut lists are those of BPE.
  if (cut && get_string(*model, "type").value_or("BPE") != "BPE") return parse(tokenizer_json, config_json, false);
  TokenizerParts parts;
  RETURN_IF_ERROR(read_model(*model, cut ? &*cut : nullptr, parts));
  // A key that is there twice has its last value; the library knows.
  if (cut && parts.model->has_equal_texts()) return parse(tokenizer_json, config_json, false);
  RETURN_IF_ERROR(read_added_tokens(*root, parts));
  ASSIGN_OR_RETURN(parts.normalizer, Normalizer::from_json(member(*root, "normalizer")));
  ASSIGN_OR_RETURN(parts.pre_tokenizer, PreTokenizer::from_json(member(*root, "pre_tokenizer")));
  ASSIGN_OR_RETURN(parts.post_processor, PostProcessor::from_json(member(*root, "post_processor")));
  ASSIGN_OR_RETURN(parts.decoder, Decoder::from_json(member(*root, "decoder")));
  parts.bpe.byte_level = parts.pre_tokenizer.byte_level();
  if (parts.kind.empty())
    parts.kind = parts.bpe.byte_level ? "BPE, byte level" : parts.bpe.byte_fallback ? "BPE, byte fallback" : "BPE";
  if (!config_json.empty()) {
    ASSIGN_OR_RETURN(const json::value config, parse_json(config_json).with_context("tokenizer_config.json"));
    if (!config.is_object()) return invalid_argument("tokenizer_config.json is no object");
    RETURN_IF_ERROR(apply_tokenizer_config(config.get_object(), parts).with_context("tokenizer_config.json"));
  }
  return SubwordTokenizer::make(std::move(parts));
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> parse_tokenizer_json(std::string_view tokenizer_json,
                                                              std::string_view config_json) {
  return parse(tokenizer_json, config_json).with_context("tokenizer.json");
}

Result<std::shared_ptr<const Tokenizer>> load_tokenizer_json(const std::filesystem::path& dir) {
  ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(dir / "tokenizer.json"));
  const std::string_view tokenizer_json(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  std::string config_json;
  auto config = read_file(dir / "tokenizer_config.json");
  if (config)
    config_json = *std::move(config);
  else if (config.error().code != ErrorCode::kNotFound)
    return std::move(config).error();
  return parse_tokenizer_json(tokenizer_json, config_json).with_context("{}", dir.string());
}

}  // namespace vllm::text
