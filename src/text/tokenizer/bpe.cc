#include "text/tokenizer/bpe.h"

#include <atomic>
#include <cstdio>

#include "text/tokenizer/bpe_merge.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

constexpr size_t kBoundaryBits = 1 << 20;

// What one thread remembers about short words: direct mapped, 512 KiB, shared by all tokenizers.
struct CachedWord {
  static constexpr size_t kMaxBytes = 26, kMaxIds = 6;
  uint64_t serial = 0;  // 0: free
  uint8_t num_bytes = 0, num_ids = 0;
  char bytes[kMaxBytes];
  TokenId ids[kMaxIds];
};
static_assert(sizeof(CachedWord) <= 64);
constexpr size_t kCacheSize = 8192;

CachedWord& cache_slot(std::string_view word, uint64_t serial) {
  static thread_local std::vector<CachedWord> cache(kCacheSize);
  return cache[hash_bytes(word, serial) % kCacheSize];
}

uint64_t boundary_bit(char32_t left, char32_t right) {
  return mix64(static_cast<uint64_t>(left) << 32 | right, 0) % kBoundaryBits;
}

}  // namespace

Bpe::Bpe(const Vocabulary& vocabulary, const std::vector<MergeRule>& merges, const BpeOptions& options)
    : options_(options) {
  static std::atomic<uint64_t> next_serial{1};
  serial_ = next_serial++;
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
  if (!options.byte_level) {
    for (TokenId id = 0; id < vocabulary.size(); ++id) {
      const std::string_view text = vocabulary.text(id);
      size_t used = 0;
      if (text.empty() || (static_cast<unsigned char>(text[0]) >= 0x80 && text.size() > 4)) continue;
      const char32_t code = read_char(text, used);
      if (used != text.size() || vocabulary.find(text) != id) continue;
      if (char_ids_.size() <= code >> 8) char_ids_.resize((code >> 8) + 1);
      auto& page = char_ids_[code >> 8];
      if (!page) page = std::make_unique<std::array<TokenId, 256>>(), page->fill(-1);
      (*page)[code & 255] = id;
    }
    note_boundaries(vocabulary, merges);
  }
  if (options.ignore_merges) {
    size_t total = 1, count = 0;
    for (TokenId id = 0; id < vocabulary.size(); ++id) total += vocabulary.text(id).size(), count += vocabulary.has(id);
    word_bytes_.resize(total);
    words_.reserve(count);
    char* at = word_bytes_.data();
    std::string raw;
    for (TokenId id = 0; id < vocabulary.size(); ++id) {
      const std::string_view text = vocabulary.text(id);
      if (text.empty() || vocabulary.find(text) != id) continue;
      if (!options.byte_level)
        raw = text;
      else if (!from_byte_alphabet(text, raw))
        continue;
      const std::string_view key(at, raw.size());
      at = std::copy(raw.begin(), raw.end(), at);
      words_.insert(key, id);
    }
  }
}

// Which pairs of characters some merge joins. Where two known characters stand side by side and no merge has that pair
// at its seam, nothing can ever be merged across: the text may be cut there, and its pieces are short and cacheable.
void Bpe::note_boundaries(const Vocabulary& vocabulary, const std::vector<MergeRule>& merges) {
  boundaries_.assign(kBoundaryBits / 64, 0);
  for (const MergeRule& rule : merges) {
    const std::string_view left = vocabulary.text(rule.left), right = vocabulary.text(rule.right);
    if (left.empty() || right.empty()) continue;
    size_t last = previous_char(left, left.size()), first = 0;
    const uint64_t bit = boundary_bit(read_char(left, last), read_char(right, first));
    boundaries_[bit / 64] |= uint64_t{1} << bit % 64;
  }
}

bool Bpe::may_merge_across(char32_t left, char32_t right) const {
  const uint64_t bit = boundary_bit(left, right);
  return (boundaries_[bit / 64] >> bit % 64 & 1) != 0;
}

TokenId Bpe::char_id(char32_t code) const {
  const size_t page = code >> 8;
  return page < char_ids_.size() && char_ids_[page] ? (*char_ids_[page])[code & 255] : -1;
}

void Bpe::encode(std::string_view word, std::vector<TokenId>& ids) const {
  if (options_.ignore_merges) {
    if (const TokenId id = words_.find(word); id >= 0) return ids.push_back(id);
  }
  if (options_.byte_level)
    encode_cached(word, ids);
  else
    encode_chars(word, ids);
}

void Bpe::encode_chars(std::string_view word, std::vector<TokenId>& ids) const {
  size_t begin = 0;
  char32_t previous = 0;
  bool previous_known = false;
  for (size_t pos = 0; pos < word.size();) {
    const size_t at = pos;
    const char32_t code = read_char(word, pos);
    const bool known = char_id(code) >= 0;
    if (at > begin && known && previous_known && !may_merge_across(previous, code)) {
      encode_cached(word.substr(begin, at - begin), ids);
      begin = at;
    }
    previous = code;
    previous_known = known;
  }
  encode_cached(word.substr(begin), ids);
}

void Bpe::encode_cached(std::string_view word, std::vector<TokenId>& ids) const {
  if (word.size() > CachedWord::kMaxBytes) return encode_piece(word, ids);
  CachedWord& slot = cache_slot(word, serial_);
  if (slot.serial == serial_ && std::string_view(slot.bytes, slot.num_bytes) == word) {
    ids.insert(ids.end(), slot.ids, slot.ids + slot.num_ids);
    return;
  }
  const size_t before = ids.size();
  encode_piece(word, ids);
  const size_t count = ids.size() - before;
  if (count > CachedWord::kMaxIds) return;
  slot.serial = serial_;
  slot.num_bytes = static_cast<uint8_t>(word.size());
  slot.num_ids = static_cast<uint8_t>(count);
  std::copy(word.begin(), word.end(), slot.bytes);
  std::copy(ids.end() - static_cast<std::ptrdiff_t>(count), ids.end(), slot.ids);
}

void Bpe::encode_piece(std::string_view piece, std::vector<TokenId>& ids) const {
  static thread_local std::vector<TokenId> symbols;
  symbols.clear();
  if (symbols.capacity() > 1 << 20) symbols = std::vector<TokenId>();  // a huge prompt's memory is not kept
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
  merge_symbols(merges_, symbols, ids);
}

}  // namespace vllm::text
