#include "text/tokenizer/bpe.h"

#include <algorithm>
#include <cstring>

#include "text/tokenizer/bpe_merge.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

constexpr size_t kBoundaryBits = 1 << 21;
constexpr char32_t kMetaspaceCode = 0x2581;

bool test(const std::vector<uint64_t>& bits, uint64_t bit) { return (bits[bit / 64] >> bit % 64 & 1) != 0; }
void set(std::vector<uint64_t>& bits, uint64_t bit) { bits[bit / 64] |= uint64_t{1} << bit % 64; }

uint32_t three_bytes(const char* p) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(p);
  return bytes[0] | static_cast<uint32_t>(bytes[1]) << 8 | static_cast<uint32_t>(bytes[2]) << 16;
}
uint64_t byte_pair(char left, char right) {
  return static_cast<uint64_t>(static_cast<unsigned char>(left)) << 8 | static_cast<unsigned char>(right);
}
// Two bits of one filter for each pair.
std::pair<uint64_t, uint64_t> boundary_bits(char32_t left, char32_t right) {
  const uint64_t hash = mix64(static_cast<uint64_t>(left) << 32 | right, 0);
  return {hash % kBoundaryBits, (hash >> 32) % kBoundaryBits};
}
void set_boundary(std::vector<uint64_t>& bits, char32_t left, char32_t right) {
  const auto [a, b] = boundary_bits(left, right);
  set(bits, a);
  set(bits, b);
}
bool test_boundary(const std::vector<uint64_t>& bits, char32_t left, char32_t right) {
  const auto [a, b] = boundary_bits(left, right);
  return test(bits, a) && test(bits, b);
}
// ASCII and ▁ in eight bits, others above.
char32_t small_code(char32_t code) { return code < 0x80 ? code : code == kMetaspaceCode ? 0x80 : 0x100; }

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
  if (options.byte_level) {
    byte_merges_.resize(65536, Merge{0, -1});
    for (size_t pair = 0; pair < 65536; ++pair) {
      const TokenId left = byte_ids_[pair >> 8], right = byte_ids_[pair & 255];
      const Merge* merge = left >= 0 && right >= 0 ? merges_.find(left, right) : nullptr;
      if (merge) byte_merges_[pair] = *merge;
    }
  } else {
    note_characters(vocabulary);
  }
  note_boundaries(vocabulary, merges);
  if (options.ignore_merges) note_words(vocabulary);
}

void Bpe::note_characters(const Vocabulary& vocabulary) {
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

// Which places some merge joins. Where two known characters stand side by side and no merge has that pair at its seam,
// nothing can ever be merged across: the text may be cut there, and its pieces are short and cacheable. Bytes: a
// merge's left side ends with the three bytes before the seam and its right side starts with the three after it, or one
// of them is shorter than that.
void Bpe::note_boundaries(const Vocabulary& vocabulary, const std::vector<MergeRule>& merges) {
  boundaries_.assign(kBoundaryBits / 64, 0);
  exact_boundaries_.assign(65536 / 64, 0);
  std::string left_bytes, right_bytes;
  for (const MergeRule& rule : merges) {
    std::string_view left = vocabulary.text(rule.left), right = vocabulary.text(rule.right);
    if (left.empty() || right.empty()) continue;
    if (!options_.byte_level) {
      size_t last = previous_char(left, left.size()), first = 0;
      const char32_t before = read_char(left, last), after = read_char(right, first);
      if (const char32_t a = small_code(before), b = small_code(after); (a | b) < 0x100)
        set(exact_boundaries_, a << 8 | b);
      else
        set_boundary(boundaries_, before, after);
      continue;
    }
    // Three bytes are at most six in the alphabet's spelling.
    size_t begin = left.size(), end = 0;
    for (int i = 0; i < 3 && begin > 0; ++i) begin = previous_char(left, begin);
    for (int i = 0; i < 3 && end < right.size(); ++i) read_char(right, end);
    if (!from_byte_alphabet(left.substr(begin), left_bytes) || !from_byte_alphabet(right.substr(0, end), right_bytes))
      continue;  // no symbol of a text is spelled so
    if (left_bytes.size() < 3 || right_bytes.size() < 3)
      set(exact_boundaries_, byte_pair(left_bytes.back(), right_bytes.front()));
    else
      set_boundary(boundaries_, three_bytes(left_bytes.data()), three_bytes(right_bytes.data()));
  }
}

bool Bpe::may_merge_across(char32_t left, char32_t right) const {
  const char32_t a = small_code(left), b = small_code(right);
  return (a | b) < 0x100 ? test(exact_boundaries_, a << 8 | b) : test_boundary(boundaries_, left, right);
}

bool Bpe::may_merge_bytes_across(std::string_view word, size_t cut) const {
  if (test(exact_boundaries_, byte_pair(word[cut - 1], word[cut]))) return true;
  if (cut < 3 || word.size() - cut < 3) return false;  // then one side of a merge has less than three bytes
  return test_boundary(boundaries_, three_bytes(word.data() + cut - 3), three_bytes(word.data() + cut));
}

TokenId Bpe::char_id(char32_t code) const {
  const size_t page = code >> 8;
  return page < char_ids_.size() && char_ids_[page] ? (*char_ids_[page])[code & 255] : -1;
}

void Bpe::Run::word(std::string_view text, size_t begin, size_t end) {
  if (bpe_.options_.byte_level) {
    if (end - begin <= WordKey::kMaxBytes) return cached(text, begin, end, false);
    return cut_bytes(text, begin, end);
  }
  if (bpe_.options_.ignore_merges) {
    const TokenId id = bpe_.words_.find(text.substr(begin, end - begin));
    if (id >= 0) {
      flush();
      return ids_.push_back(id);
    }
  }
  cut_chars(text, begin, end);
}

// Between characters of more than one byte, as in Chinese, words are long and most of them new; their pieces are not.
void Bpe::Run::cut_bytes(std::string_view text, size_t begin, size_t end) {
  const std::string_view word = text.substr(begin, end - begin);
  if (bpe_.options_.ignore_merges) {
    if (const TokenId id = bpe_.words_.find(word); id >= 0) {
      flush();
      return ids_.push_back(id);
    }
  }
  size_t done = 0;
  for (size_t cut = 1; cut < word.size(); ++cut) {
    const auto previous = static_cast<unsigned char>(word[cut - 1]), next = static_cast<unsigned char>(word[cut]);
    if (next < 0xC0 || previous < 0x80 || bpe_.may_merge_bytes_across(word, cut)) continue;
    cached(text, begin + done, begin + cut, true);
    done = cut;
  }
  cached(text, begin + done, end, true);
}

// First where a blank (▁) starts a word: most of what lies between is short, and known. Then between characters.
void Bpe::Run::cut_chars(std::string_view text, size_t begin, size_t end) {
  constexpr std::string_view kMetaspace = "\xE2\x96\x81";
  while (begin < end) {
    size_t next = begin + 1;
    for (; next < end; ++next) {
      const void* found = std::memchr(text.data() + next, '\xE2', end - next);
      next = found ? static_cast<size_t>(static_cast<const char*>(found) - text.data()) : end;
      if (next == end) break;
      if (text.substr(next, kMetaspace.size()) != kMetaspace) continue;
      size_t before = previous_char(text, next);
      const char32_t left = read_char(text, before);
      if (left != kMetaspaceCode && bpe_.char_id(left) >= 0 && bpe_.char_id(kMetaspaceCode) >= 0 &&
          !bpe_.may_merge_across(left, kMetaspaceCode))
        break;
    }
    if (next - begin <= WordKey::kMaxBytes)
      cached(text, begin, next, true);
    else
      cut_long_chars(text, begin, next);
    begin = next;
  }
}

void Bpe::Run::cut_long_chars(std::string_view text, size_t begin, size_t end) {
  char32_t previous = 0;
  bool previous_known = false;
  size_t done = begin;
  for (size_t pos = begin; pos < end;) {
    const size_t at = pos;
    const char32_t code = read_char(text, pos);
    const bool known = bpe_.char_id(code) >= 0;
    if (at > done && known && previous_known && !bpe_.may_merge_across(previous, code)) {
      cached(text, done, at, true);
      done = at;
    }
    previous = code;
    previous_known = known;
  }
  cached(text, done, end, true);
}

void Bpe::Run::cached(std::string_view text, size_t begin, size_t end, bool piece) {
  if (end - begin > WordKey::kMaxBytes) return cached_long(text.substr(begin, end - begin));
  const WordKey key = WordKey::make(text.data() + begin, end - begin, text.size() - begin, piece);
  if (count_ + WordCache::Slot::kMaxIds > kBuffer) flush();
  if (const WordCache::Slot* slot = cache_->find(key)) {
    std::memcpy(buffer_ + count_, slot->ids, sizeof slot->ids);  // all four: the next word overwrites what is too much
    count_ += slot->count();
    return;
  }
  found_.clear();
  uncached(text.substr(begin, end - begin), piece);
  if (found_.size() <= WordCache::Slot::kMaxIds && !found_.empty()) {
    cache_->remember(key, found_.data(), found_.size());
    std::copy(found_.begin(), found_.end(), buffer_ + count_);
    count_ += found_.size();
  } else {
    flush();
    ids_.insert(ids_.end(), found_.begin(), found_.end());
  }
}

void Bpe::Run::cached_long(std::string_view word) {
  flush();
  if (word.size() > WordCache::LongSlot::kMaxBytes) {
    found_.clear();
    uncached(word, true);
    ids_.insert(ids_.end(), found_.begin(), found_.end());
    return;
  }
  WordCache::LongSlot& slot = cache_->long_slot(word);
  if (slot.num_bytes == 0 || !slot.holds(word)) {
    found_.clear();
    uncached(word, true);
    if (found_.size() > WordCache::LongSlot::kMaxIds) {
      ids_.insert(ids_.end(), found_.begin(), found_.end());
      return;
    }
    slot.num_bytes = static_cast<uint8_t>(word.size());
    slot.num_ids = static_cast<uint8_t>(found_.size());
    std::copy(word.begin(), word.end(), slot.bytes);
    std::copy(found_.begin(), found_.end(), slot.ids);
  }
  ids_.insert(ids_.end(), slot.ids, slot.ids + slot.num_ids);
}

void Bpe::Run::uncached(std::string_view word, bool piece) {
  if (!piece && bpe_.options_.ignore_merges) {
    if (const TokenId id = bpe_.words_.find(word); id >= 0) return found_.push_back(id);
  }
  symbols_.clear();
  if (symbols_.capacity() > 1 << 20) symbols_ = std::vector<TokenId>();  // a huge word's memory is not kept
  if (bpe_.options_.byte_level && word.size() > 3 && symbols_of_characters(word)) {
    merge_symbols(bpe_.merges_, symbols_, found_);
    return;
  }
  symbols_.clear();
  bpe_.symbols_of(word, symbols_);
  if (bpe_.options_.byte_level && symbols_.size() == word.size() && word.size() <= kMaxScan)
    merge_bytes(bpe_.merges_, bpe_.byte_merges_.data(), word, symbols_, found_);
  else
    merge_symbols(bpe_.merges_, symbols_, found_);
}

// Starts from the tokens of each character instead of from bytes. Right where no merge of less than three bytes on one
// side reaches across a character's ends: what reaches across then takes characters of two or three bytes whole, so
// that the merges within each come first. False where that is not sure, or nothing would be won.
bool Bpe::Run::symbols_of_characters(std::string_view word) {
  bool any = false;
  for (size_t pos = 0, size; pos < word.size(); pos += size) {
    const auto lead = static_cast<unsigned char>(word[pos]);
    size = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : 3;
    if ((lead >= 0x80 && lead < 0xC2) || lead >= 0xF0 || pos + size > word.size()) return false;
    if (size == 1) {
      const TokenId id = bpe_.byte_ids_[lead];
      if (id < 0) return false;
      symbols_.push_back(id);
      continue;
    }
    const size_t end = pos + size;
    if (pos > 0 && test(bpe_.exact_boundaries_, byte_pair(word[pos - 1], word[pos]))) return false;
    if (end < word.size() && test(bpe_.exact_boundaries_, byte_pair(word[end - 1], word[end]))) return false;
    any = true;
    const WordKey key = WordKey::make(word.data() + pos, size, size, true);
    if (const WordCache::Slot* slot = cache_->find(key)) {
      symbols_.insert(symbols_.end(), slot->ids, slot->ids + slot->count());
      continue;
    }
    const size_t before = symbols_.size();
    bytes_.clear();
    bpe_.symbols_of(word.substr(pos, size), bytes_);
    if (bytes_.size() != size) return false;
    merge_bytes(bpe_.merges_, bpe_.byte_merges_.data(), word.substr(pos, size), bytes_, symbols_);
    cache_->remember(key, symbols_.data() + before, symbols_.size() - before);
  }
  return any;
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
