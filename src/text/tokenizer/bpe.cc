#include "text/tokenizer/bpe.h"

#include <algorithm>

#include "text/tokenizer/bpe_merge.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

constexpr char32_t kMetaspace = 0x2581;
// Tokens with lower ids are put into a new cache: what is beyond costs loading more than it saves the first texts.
constexpr TokenId kKnownFirst = 32768;

// The one character of two or three bytes that `bytes` are; 0 if they are none.
char32_t as_character(std::string_view bytes) {
  if (bytes.size() < 2 || bytes.size() > 3 || next_utf8(bytes).state != Utf8State::kChar) return 0;
  size_t used = 0;
  const char32_t code = next_utf8(bytes).length == bytes.size() ? read_char(bytes, used) : 0;
  return code;
}

}  // namespace

Bpe::Bpe(const Vocabulary& vocabulary, const std::vector<MergeRule>& merges, const BpeOptions& options)
    : options_(options) {
  merges_.reserve(merges.size());
  for (const MergeRule& rule : merges) merges_.insert(rule.left, rule.right, rule.merge);

  byte_ids_.fill(-1);
  for (int byte = 0; byte < 256; ++byte) {
    std::string text;
    if (options.byte_level) {
      append_char(text, to_byte_alphabet(static_cast<unsigned char>(byte)));
    } else if (options.byte_fallback) {
      text = fmt::format("<0x{:02X}>", byte);
    } else {
      continue;
    }
    byte_ids_[static_cast<size_t>(byte)] = vocabulary.find(text);
  }
  if (!options.byte_level) note_characters(vocabulary);
  note_pairs();
  if (options.byte_level) note_byte_characters(vocabulary);
  note_seams(vocabulary, merges);
  if (options.ignore_merges) note_words(vocabulary);
  fill_cache(vocabulary);
}

// A new cache knows the most frequent tokens (those with low ids) that are words or pieces by themselves.
void Bpe::fill_cache(const Vocabulary& vocabulary) {
  auto cache = std::make_unique<WordCache>();
  {
    std::vector<TokenId> ids;
    Run run(*this, ids);
    std::string raw;
    for (TokenId id = 0; id < std::min<TokenId>(vocabulary.size(), kKnownFirst); ++id) {
      const std::string_view text = vocabulary.text(id);
      if (text.size() > 3 * WordKey::kMaxBytes) continue;
      if (options_.byte_level) {
        if (!from_byte_alphabet(text, raw)) continue;
      } else {
        if (!is_utf8(text)) continue;
        raw = text;
        for (size_t at = 0; options_.blanks && (at = raw.find("\xE2\x96\x81", at)) != std::string::npos; ++at)
          raw.replace(at, 3, 1, ' ');
      }
      if (raw.empty() || raw.size() > WordKey::kMaxBytes) continue;
      const bool piece =
          !options_.byte_level || (!options_.ignore_merges && static_cast<unsigned char>(raw[0]) >= 0x80);
      const WordKey key = WordKey::make(raw.data(), raw.size(), raw.size(), piece);
      const size_t place = cache->place_of(key);
      if (!cache->has_room(place)) continue;
      run.found_.clear();
      run.merge(raw, piece);
      if (run.found_.size() == 1 && run.found_[0] == id) cache->remember(key, place, &id, 1);
    }
  }
  caches_ = std::make_unique<WordCachePool>(std::move(cache));
}

void Bpe::set_char_id(char32_t code, TokenId id, uint32_t rank) {
  if (char_ids_.size() <= code >> 8) char_ids_.resize((code >> 8) + 1), char_ranks_.resize((code >> 8) + 1);
  auto& page = char_ids_[code >> 8];
  auto& ranks = char_ranks_[code >> 8];
  if (!page) page = std::make_unique<std::array<TokenId, 256>>(), page->fill(-1);
  if (!ranks && options_.byte_level) ranks = std::make_unique<std::array<uint32_t, 256>>();
  (*page)[code & 255] = id;
  if (ranks) (*ranks)[code & 255] = rank;
}

void Bpe::note_characters(const Vocabulary& vocabulary) {
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const std::string_view text = vocabulary.text(id);
    size_t used = 0;
    if (text.empty() || (static_cast<unsigned char>(text[0]) >= 0x80 && text.size() > 4)) continue;
    const char32_t code = read_char(text, used);
    if (used == text.size() && vocabulary.find(text) == id) set_char_id(code, id);
  }
  if (options_.blanks) set_char_id(U' ', char_id(kMetaspace));
}

void Bpe::note_byte_characters(const Vocabulary& vocabulary) {
  std::string raw;
  std::vector<TokenId> symbols, found;
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const std::string_view text = vocabulary.text(id);
    if (text.size() > 6 || !from_byte_alphabet(text, raw)) continue;  // three bytes are at most six in that spelling
    const char32_t code = as_character(raw);
    if (code == 0) continue;
    symbols.clear();
    found.clear();
    symbols_of(raw, symbols);
    if (symbols.size() != raw.size()) continue;
    merge_bytes(merges_, byte_merges_.data(), raw, symbols, found);
    if (found.size() == 1) set_char_id(code, found[0], rank_of_character(raw));
  }
}

// Two or three bytes that merge to one token.
uint32_t Bpe::rank_of_character(std::string_view bytes) const {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const auto of_pair = [&](size_t i) { return byte_merges_[static_cast<size_t>(byte(i)) << 8 | byte(i + 1)]; };
  const Merge first = of_pair(0);
  if (bytes.size() == 2) return first.rank;
  const Merge last = of_pair(1);
  const bool starts = first.id >= 0 && (last.id < 0 || first.rank <= last.rank);
  const Merge* whole = starts ? merges_.find(first.id, byte_ids_[byte(2)]) : merges_.find(byte_ids_[byte(0)], last.id);
  return whole ? std::max(whole->rank, starts ? first.rank : last.rank) : UINT32_MAX;
}

void Bpe::note_pairs() {
  const size_t count = options_.byte_level ? 256 : 128;
  const auto symbol = [&](size_t code) {
    return options_.byte_level ? byte_ids_[code] : char_id(static_cast<char32_t>(code));
  };
  byte_merges_.resize(count << 8, Merge{0, -1});
  for (size_t left = 0; left < count; ++left) {
    for (size_t right = 0; right < count && symbol(left) >= 0; ++right) {
      const Merge* merge = symbol(right) >= 0 ? merges_.find(symbol(left), symbol(right)) : nullptr;
      if (merge) byte_merges_[left << 8 | right] = *merge;
    }
  }
}

void Bpe::note_words(const Vocabulary& vocabulary) {
  size_t total = 1, count = 0;
  for (TokenId id = 0; id < vocabulary.size(); ++id) total += vocabulary.text(id).size(), count += vocabulary.has(id);
  word_bytes_.resize(total);
  word_texts_.resize(static_cast<size_t>(vocabulary.size()));
  words_.reserve(count, word_texts_.data());
  char* at = word_bytes_.data();
  std::string raw;
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const std::string_view text = vocabulary.text(id);
    if (text.empty() || vocabulary.find(text) != id) continue;
    if (!options_.byte_level)
      raw = text;
    else if (!from_byte_alphabet(text, raw))
      continue;
    word_texts_[static_cast<size_t>(id)] = {at, raw.size()};
    at = std::copy(raw.begin(), raw.end(), at);
    words_.insert(id);
  }
}

void Bpe::note_seams(const Vocabulary& vocabulary, const std::vector<MergeRule>& merges) {
  std::string left_bytes, right_bytes;
  const auto as_given = [&](char32_t code) { return options_.blanks && code == kMetaspace ? U' ' : code; };
  for (const MergeRule& rule : merges) {
    std::string_view left = vocabulary.text(rule.left), right = vocabulary.text(rule.right);
    if (left.empty() || right.empty()) continue;
    if (!options_.byte_level) {
      size_t last = previous_char(left, left.size()), first = 0;
      seams_.add_chars(as_given(read_char(left, last)), as_given(read_char(right, first)));
      continue;
    }
    size_t begin = left.size(), end = 0;
    for (int i = 0; i < 3 && begin > 0; ++i) begin = previous_char(left, begin);
    for (int i = 0; i < 3 && end < right.size(); ++i) read_char(right, end);
    if (from_byte_alphabet(left.substr(begin), left_bytes) && from_byte_alphabet(right.substr(0, end), right_bytes))
      seams_.add_bytes(left_bytes, right_bytes, rule.merge.rank);  // no symbol of a text is spelled otherwise
  }
  for (char32_t left = 0; left < 128 && !options_.byte_level; ++left) {
    for (char32_t right = 0; right < 128; ++right) {
      if (char_id(left) >= 0 && char_id(right) >= 0 && !seams_.joins_chars(left, right))
        ascii_cuts_[left * 2 + right / 64] |= uint64_t{1} << right % 64;
    }
  }
}

bool Bpe::is_known_ascii(std::string_view word) const {
  return std::all_of(word.begin(), word.end(), [&](char c) {
    return static_cast<unsigned char>(c) < 0x80 && char_id(static_cast<unsigned char>(c)) >= 0;
  });
}

void Bpe::symbols_of(std::string_view piece, std::vector<TokenId>& symbols) const {
  bool unknown = false;  // an unknown token waits to be written (Hugging Face writes byte tokens before it)
  const auto flush = [&] {
    if (unknown) symbols.push_back(options_.unk_id);
    unknown = false;
  };
  for (size_t pos = 0; pos < piece.size();) {
    const size_t begin = pos;
    const char32_t code = options_.byte_level ? static_cast<unsigned char>(piece[pos++]) : read_char(piece, pos);
    const TokenId id = options_.byte_level ? byte_ids_[code] : char_id(code);
    if (id >= 0) {
      flush();
      symbols.push_back(id);
      continue;
    }
    if (options_.byte_fallback && !options_.byte_level) {
      bool all = true;
      for (size_t i = begin; i < pos; ++i) all = all && byte_ids_[static_cast<unsigned char>(piece[i])] >= 0;
      if (all) {
        for (size_t i = begin; i < pos; ++i) symbols.push_back(byte_ids_[static_cast<unsigned char>(piece[i])]);
        continue;
      }
    }
    if (options_.unk_id < 0) continue;
    if (!options_.fuse_unk) flush();
    unknown = true;
  }
  flush();
}

}  // namespace vllm::text
