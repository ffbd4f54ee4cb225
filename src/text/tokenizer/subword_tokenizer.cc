#include "text/tokenizer/subword_tokenizer.h"

#include <algorithm>
#include <set>

#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

constexpr size_t kMaxText = size_t{1} << 30;  // bytes; word offsets are 32 bits wide
constexpr size_t kMaxAddedLength = 512;       // bytes of an added token; bounds the time of looking for them
constexpr std::string_view kMetaspace = "\xE2\x96\x81";
constexpr size_t kMaxAddedBytes = size_t{64} << 20;

// The model's tokens and those that are only added. Gives every added token its final id: a text that the model knows
// keeps the model's, and an id that another token has is replaced by a fresh one, as Hugging Face numbers added tokens
// itself.
Result<std::shared_ptr<const Vocabulary>> join(const std::shared_ptr<const Vocabulary>& shared,
                                               std::vector<AddedToken>& added) {
  const Vocabulary& model = *shared;
  std::vector<Vocabulary::Entry> extra;
  std::set<std::string_view> seen;
  size_t added_bytes = 0;
  int64_t next_id = model.size();
  for (const AddedToken& token : added) next_id = std::max<int64_t>(next_id, int64_t{token.id} + 1);
  for (AddedToken& token : added) {
    if (token.content.size() > kMaxAddedLength || (added_bytes += token.content.size()) > kMaxAddedBytes) {
      return invalid_argument("added token \"{:.40}...\" is too long", token.content);
    }
    if (!token.in_text) {
      extra.push_back({token.content, token.id});
    } else if (const TokenId known = model.find(token.content); known >= 0)
      token.id = known;
    else if (!token.content.empty() && seen.insert(token.content).second) {
      extra.push_back({token.content, model.has(token.id) ? next_id++ : token.id});
    }
  }
  if (extra.empty()) return shared;
  for (TokenId id = 0; id < model.size(); ++id) {
    if (model.has(id)) extra.push_back({model.text(id), id});
  }
  ASSIGN_OR_RETURN(Vocabulary joined, Vocabulary::build(extra));
  for (AddedToken& token : added) {
    if (!token.in_text) continue;
    if (const TokenId known = joined.find(token.content); known >= 0) token.id = known;
  }
  return std::make_shared<const Vocabulary>(std::move(joined));
}

void replace_all(std::string& text, std::string_view from, char to) {
  size_t out = 0, done = 0;
  for (size_t at; (at = text.find(from, done)) != std::string::npos; done = at + from.size()) {
    out = static_cast<size_t>(std::copy(text.begin() + static_cast<std::ptrdiff_t>(done),
                                        text.begin() + static_cast<std::ptrdiff_t>(at),
                                        text.begin() + static_cast<std::ptrdiff_t>(out)) -
                              text.begin());
    text[out++] = to;
  }
  text.erase(out, done - out);
}

std::string_view word_text(const Words& words, const Word& word) {
  return words.text.substr(word.begin, word.end - word.begin);
}

// A word of WordPiece or Unigram; short ones are remembered.
template <typename Subwords>
void encode_cached(const Subwords& subwords, const Words& words, const Word& word, WordCache& cache,
                   std::vector<TokenId>& ids) {
  const std::string_view text = word_text(words, word);
  if (text.size() > WordKey::kMaxBytes) return subwords.encode(text, ids);
  const WordKey key = WordKey::make(text.data(), text.size(), words.text.size() - word.begin, false);
  const size_t place = cache.place_of(key), before = ids.size();
  if (const WordCache::Slot* slot = cache.find(key, place)) {
    ids.insert(ids.end(), slot->ids, slot->ids + slot->count());
    return;
  }
  subwords.encode(text, ids);
  const size_t count = ids.size() - before;
  if (count > 0 && count <= WordCache::Slot::kMaxIds) cache.remember(key, place, ids.data() + before, count);
}

std::variant<Bpe, WordPiece, Unigram> make_subwords(const Vocabulary& vocabulary, TokenizerParts& parts, bool blanks) {
  parts.bpe.blanks = blanks;
  if (parts.word_piece) return WordPiece(vocabulary, *parts.word_piece);
  if (parts.unigram) return Unigram(vocabulary, *std::move(parts.unigram));
  return Bpe(vocabulary, parts.merges, parts.bpe);
}

}  // namespace

Result<std::shared_ptr<const Tokenizer>> SubwordTokenizer::make(TokenizerParts parts) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const Vocabulary> vocabulary, join(parts.model, parts.added));
  for (const auto* ids : {&parts.post_processor.before, &parts.post_processor.after}) {
    for (const TokenId id : *ids) {
      if (!vocabulary->has(id)) return invalid_argument("post_processor: no token has id {}", id);
    }
  }
  const std::optional<Prefix> blanks = find_blanks(parts);
  const std::vector<AddedToken> added = std::move(parts.added);
  const Decoder decoder = parts.decoder;
  std::shared_ptr<SubwordTokenizer> out(new SubwordTokenizer(vocabulary, std::move(parts), blanks));
  ASSIGN_OR_RETURN(const Respelled respelled, out->add_tokens(added));
  out->prepare_bytes(decoder, respelled);
  return std::shared_ptr<const Tokenizer>(std::move(out));
}

SubwordTokenizer::SubwordTokenizer(std::shared_ptr<const Vocabulary> vocabulary, TokenizerParts parts,
                                   std::optional<Prefix> blanks)
    : model_(std::move(parts.model)),
      vocabulary_(std::move(vocabulary)),
      blanks_(blanks),
      subwords_(make_subwords(*model_, parts, blanks.has_value())),
      normalizer_(std::move(parts.normalizer)),
      pre_tokenizer_(std::move(parts.pre_tokenizer)),
      post_processor_(std::move(parts.post_processor)),
      special_(static_cast<size_t>(vocabulary_->size())),
      strips_leading_space_(parts.decoder.strips_leading_space()),
      bos_(parts.bos),
      eos_(parts.eos),
      description_(
          fmt::format("{}, split rule {}, {} tokens", parts.kind, pre_tokenizer_.description(), vocabulary_->size())) {}

Result<SubwordTokenizer::Respelled> SubwordTokenizer::add_tokens(const std::vector<AddedToken>& added) {
  Respelled respelled;
  for (const AddedToken& token : added) {
    if (token.content.empty()) continue;
    if (token.special) special_[static_cast<size_t>(token.id)] = true;
    if (!token.in_text) continue;
    if (!token.normalized) {
      raw_matcher_.add(token);
      continue;
    }
    AddedToken normalized = token;
    RETURN_IF_ERROR(normalizer_.apply(normalized.content));
    if (!token.special) respelled.try_emplace(token.id, normalized.content);
    if (blanks_ && !normalizer_.empty()) replace_all(normalized.content, kMetaspace, ' ');
    normalized_matcher_.add(normalized);
  }
  raw_matcher_.finish();
  normalized_matcher_.finish();
  return respelled;
}

void SubwordTokenizer::prepare_bytes(const Decoder& decoder, const Respelled& respelled) {
  std::vector<std::pair<size_t, size_t>> places(static_cast<size_t>(vocabulary_->size()));
  for (TokenId id = 0; id < vocabulary_->size(); ++id) {
    if (!vocabulary_->has(id)) continue;
    const auto other = respelled.empty() ? respelled.end() : respelled.find(id);
    const size_t begin = bytes_arena_.size();
    decoder.append_bytes(other == respelled.end() ? vocabulary_->text(id) : other->second, bytes_arena_);
    places[static_cast<size_t>(id)] = {begin, bytes_arena_.size() - begin};
  }
  bytes_.reserve(places.size());
  for (const auto& [at, size] : places) bytes_.emplace_back(bytes_arena_.data() + at, size);
}

Result<std::vector<TokenId>> SubwordTokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  if (text.size() > kMaxText) return invalid_argument("the text is longer than {} bytes", kMaxText);
  std::string repaired;
  if (!is_utf8(text)) text = repaired = repair_utf8(text);
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 3 + 8);
  if (options.add_special_tokens) ids = post_processor_.before;
  Sink sink{.ids = ids, .run = std::nullopt};
  if (const Bpe* bpe = std::get_if<Bpe>(&subwords_)) sink.run.emplace(*bpe, ids);
  AddedTokenMatcher::Search search;
  AddedTokenMatcher::Found found;
  for (size_t done = 0;; done = search.done) {
    const bool any = raw_matcher_.find_next(text, search, found);
    const size_t end = any ? found.begin : text.size();
    if (done < end) RETURN_IF_ERROR(encode_part(text.substr(done, end - done), done == 0, sink));
    if (!any) break;
    sink.append(found.id);
  }
  sink.run.reset();  // writes what it holds back
  if (options.add_special_tokens) ids.insert(ids.end(), post_processor_.after.begin(), post_processor_.after.end());
  return ids;
}

// SentencePiece's blanks need no rewritten text: BPE takes ' ' for ▁. A text that holds ▁ itself, or that gets one in
// front, is copied.
std::optional<SubwordTokenizer::Prefix> SubwordTokenizer::find_blanks(const TokenizerParts& parts) {
  const bool is_bpe = !parts.word_piece && !parts.unigram;
  if (!is_bpe || parts.bpe.byte_level || parts.bpe.ignore_merges || parts.model->find(kMetaspace) < 0)
    return std::nullopt;
  if (const MetaspaceStep* step = parts.pre_tokenizer.only_blanks(); step && parts.normalizer.empty()) {
    switch (step->prepend) {
      case MetaspaceStep::Prepend::kNever: return Prefix::kNever;
      case MetaspaceStep::Prepend::kAlways: return Prefix::kUnlessBlank;
      case MetaspaceStep::Prepend::kFirst: return Prefix::kUnlessBlankAtStart;
    }
  }
  const auto rule = parts.normalizer.only_blanks();
  // A token that takes the blanks beside it would find ' ' where it must not see one.
  const bool strips = std::any_of(parts.added.begin(), parts.added.end(), [](const AddedToken& token) {
    return token.in_text && token.normalized && (token.lstrip || token.rstrip);
  });
  if (!rule || strips || !parts.pre_tokenizer.empty()) return std::nullopt;
  return rule->prepend ? Prefix::kAlways : Prefix::kNever;
}

std::string_view SubwordTokenizer::with_blanks(std::string_view text, bool at_start, std::string& storage) const {
  const bool has_metaspace = text.find(kMetaspace) != std::string_view::npos;
  const bool starts_blank = text.starts_with(' ') || text.starts_with(kMetaspace);
  const bool prefix = *blanks_ == Prefix::kAlways || (*blanks_ == Prefix::kUnlessBlank && !starts_blank) ||
                      (*blanks_ == Prefix::kUnlessBlankAtStart && !starts_blank && at_start);
  if (!prefix && !has_metaspace) return text;
  storage.reserve(text.size() + 1);
  if (prefix) storage = ' ';
  storage += text;
  if (has_metaspace) replace_all(storage, kMetaspace, ' ');
  return storage;
}

Status SubwordTokenizer::encode_part(std::string_view text, bool at_start, Sink& sink) const {
  std::string storage;
  if (blanks_ && !normalizer_.empty()) {
    text = with_blanks(text, at_start, storage);
  } else if (!normalizer_.keeps(text)) {
    storage = text;
    RETURN_IF_ERROR(normalizer_.apply(storage));
    text = storage;
  }
  Status status = encode_normalized(text, at_start, sink);
  if (!storage.empty()) sink.settle();
  return status;
}

Status SubwordTokenizer::encode_normalized(std::string_view text, bool at_start, Sink& sink) const {
  if (normalized_matcher_.empty()) return encode_words(text, at_start, sink);
  AddedTokenMatcher::Search search;
  AddedTokenMatcher::Found found;
  for (size_t done = 0;; done = search.done) {
    const bool any = normalized_matcher_.find_next(text, search, found);
    const size_t end = any ? found.begin : text.size();
    if (done < end) RETURN_IF_ERROR(encode_words(text.substr(done, end - done), at_start && done == 0, sink));
    if (!any) return Status::ok();
    sink.append(found.id);
  }
}

Status SubwordTokenizer::encode_words(std::string_view text, bool at_start, Sink& sink) const {
  if (text.empty()) return Status::ok();
  if (blanks_) {
    std::string storage;
    if (normalizer_.empty()) text = with_blanks(text, at_start, storage);
    sink.run->word(text, 0, text.size());
    if (!storage.empty()) sink.settle();
    return Status::ok();
  }
  if (sink.run && pre_tokenizer_.empty()) {
    sink.run->word(text, 0, text.size());
    return Status::ok();
  }
  if (const KnownSplit* known = sink.run ? pre_tokenizer_.known() : nullptr) {
    uint32_t ends[256];
    for (size_t pos = 0; pos < text.size();) {
      const size_t count = known->split(text, pos, std::span(ends));
      for (size_t i = 0; i < count; ++i) {
        sink.run->word(text, pos, ends[i]);
        pos = ends[i];
      }
    }
    return Status::ok();
  }
  Words words;
  words.text = text;
  words.at_start = at_start;
  RETURN_IF_ERROR(pre_tokenizer_.apply(words));
  if (sink.run) {
    for (const Word& word : words.words) sink.run->word(words.text, word.begin, word.end);
    sink.settle();  // `words` may hold the text
    return Status::ok();
  }
  const auto encode_all = [&](const auto& subwords) {
    if (words.words.size() == 1) return subwords.encode(word_text(words, words.words[0]), sink.ids);
    std::unique_ptr<WordCache> cache = word_caches_.take();
    for (const Word& word : words.words) encode_cached(subwords, words, word, *cache, sink.ids);
    word_caches_.put(std::move(cache));
  };
  if (const auto* word_piece = std::get_if<WordPiece>(&subwords_))
    encode_all(*word_piece);
  else
    encode_all(std::get<Unigram>(subwords_));
  return Status::ok();
}

std::string_view SubwordTokenizer::token_bytes(TokenId id) const {
  return vocabulary_->has(id) ? bytes_[static_cast<size_t>(id)] : std::string_view();
}

std::optional<std::string_view> SubwordTokenizer::id_to_token(TokenId id) const {
  return vocabulary_->has(id) ? std::optional(vocabulary_->text(id)) : std::nullopt;
}

std::optional<TokenId> SubwordTokenizer::token_to_id(std::string_view token) const {
  const TokenId id = vocabulary_->find(token);
  return id >= 0 ? std::optional(id) : std::nullopt;
}

bool SubwordTokenizer::is_special(TokenId id) const {
  return vocabulary_->has(id) && special_[static_cast<size_t>(id)];
}

}  // namespace vllm::text
