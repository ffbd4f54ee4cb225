// How one text's words are cut, looked up in the cache and, if they are new, merged.
#include <algorithm>
#include <cstring>

#include "text/tokenizer/bpe.h"
#include "text/tokenizer/bpe_merge.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

constexpr size_t kKeptSymbols = size_t{1} << 20;  // a longer word's memory is not kept

}  // namespace

void Bpe::Run::word(std::string_view text, size_t begin, size_t end) {
  if (bpe_.options_.byte_level) {
    // Words of other scripts are mostly new, where their pieces are not.
    const bool whole = bpe_.options_.ignore_merges || static_cast<unsigned char>(text[begin]) < 0x80;
    if (whole && end - begin <= WordKey::kMaxBytes) return push(text, begin, end, false);
    return cut_bytes(text, begin, end);
  }
  if (bpe_.options_.ignore_merges) {
    if (const TokenId id = bpe_.words_.find(text.substr(begin, end - begin)); id >= 0) return append(id);
  }
  cut_chars(text, begin, end);
}

// Only between characters of which one has more than one byte: runs of ASCII are words already.
void Bpe::Run::cut_bytes(std::string_view text, size_t begin, size_t end) {
  const std::string_view word = text.substr(begin, end - begin);
  if (bpe_.options_.ignore_merges) {
    if (const TokenId id = bpe_.words_.find(word); id >= 0) return append(id);
  }
  const auto length = [&](size_t pos) {  // of the character there; of a byte that starts none, 1
    const auto lead = static_cast<unsigned char>(word[pos]);
    return lead < 0xC0 ? size_t{1} : lead < 0xE0 ? size_t{2} : lead < 0xF0 ? size_t{3} : size_t{4};
  };
  size_t done = 0;
  for (size_t cut = length(0); cut < word.size(); cut += length(cut)) {
    const auto previous = static_cast<unsigned char>(word[cut - 1]), next = static_cast<unsigned char>(word[cut]);
    if (next < 0xC0 || previous < 0x80 || bpe_.seams_.joins_long(word, cut)) continue;
    if (bpe_.seams_.joins_short(word[cut - 1], word[cut]) &&
        (cut < 3 || !is_whole(word, cut - 3) || !is_whole(word, cut)))
      continue;
    push(text, begin + done, begin + cut, true);
    done = cut;
  }
  push(text, begin + done, end, true);
}

// The character of three bytes at `pos` is one token before any merge with less than three bytes on one side can take a
// part of it: until it is whole, a merge within it has a lower rank. Such a merge can then not reach it at all.
bool Bpe::Run::is_whole(std::string_view word, size_t pos) const {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(word[pos + i]); };
  if (word.size() - pos < 3 || (byte(0) & 0xF0) != 0xE0 || (byte(1) & 0xC0) != 0x80 || (byte(2) & 0xC0) != 0x80)
    return false;
  size_t end = pos;
  const char32_t code = read_char(word, end);
  if (bpe_.char_id(code) < 0) return false;
  const uint32_t rank = bpe_.char_rank(code);
  return (pos == 0 || rank < bpe_.seams_.short_rank(word[pos - 1], word[pos])) &&
         (end == word.size() || rank < bpe_.seams_.short_rank(word[end - 1], word[end]));
}

// Wherever no merge joins two known characters.
void Bpe::Run::cut_chars(std::string_view text, size_t begin, size_t end) {
  size_t done = begin, pos = begin;
  char32_t left = read_char(text, pos);
  while (pos < end) {
    const size_t at = pos;
    const char32_t right = read_char(text, pos);
    const bool cut = (left | right) < 0x80
                         ? bpe_.cuts_ascii(left, right)
                         : bpe_.char_id(left) >= 0 && bpe_.char_id(right) >= 0 && !bpe_.seams_.joins_chars(left, right);
    if (cut) {
      push(text, done, at, true);
      done = at;
    }
    left = right;
  }
  push(text, done, end, true);
}

void Bpe::Run::push(std::string_view text, size_t begin, size_t end, bool piece) {
  Waiting& word = waiting_[num_waiting_];
  word.text = text.data() + begin;
  word.size = static_cast<uint32_t>(end - begin);
  word.piece = piece;
  if (word.size <= WordKey::kMaxBytes) {
    word.key = WordKey::make(word.text, word.size, text.size() - begin, piece);
    word.place = static_cast<uint32_t>(cache_->place_of(word.key));
    cache_->prefetch(word.place);
  }
  if (++num_waiting_ == kMaxWaiting) settle();
}

void Bpe::Run::settle() {
  for (size_t i = 0; i < num_waiting_; ++i) {
    const Waiting& word = waiting_[i];
    if (num_ids_ + WordCache::LongSlot::kMaxIds > kMaxIds) flush();
    const bool is_short = word.size - 1 < WordKey::kMaxBytes;
    if (const WordCache::Slot* slot = is_short ? cache_->find(word.key, word.place) : nullptr) {
      std::memcpy(buffer_ + num_ids_, slot->ids, sizeof slot->ids);  // all four: the next overwrites what is too much
      num_ids_ += slot->count();
    } else if (word.size == 0) {
      buffer_[num_ids_++] = static_cast<TokenId>(word.place);
    } else {
      resolve_new(word);
    }
  }
  num_waiting_ = 0;
}

// A word that the short words' cache lacks: long, of many ids, or new.
void Bpe::Run::resolve_new(const Waiting& waiting) {
  const std::string_view word(waiting.text, waiting.size);
  WordCache::LongSlot* slot = nullptr;
  if (word.size() <= WordCache::LongSlot::kMaxBytes) {
    slot = &cache_->long_slot(word);
    if (slot->holds(word, waiting.piece)) {
      std::memcpy(buffer_ + num_ids_, slot->ids, sizeof slot->ids);
      num_ids_ += slot->num_ids;
      return;
    }
  }
  found_.clear();
  merge(word, waiting.piece);
  if (found_.empty()) return;  // only unknown characters, which vanish
  if (word.size() <= WordKey::kMaxBytes && found_.size() <= WordCache::Slot::kMaxIds)
    cache_->remember(waiting.key, waiting.place, found_.data(), found_.size());
  else if (slot && found_.size() <= WordCache::LongSlot::kMaxIds)
    slot->set(word, waiting.piece, found_.data(), found_.size());
  if (num_ids_ + found_.size() > kMaxIds) {
    flush();
    ids_.insert(ids_.end(), found_.begin(), found_.end());
  } else {
    std::copy(found_.begin(), found_.end(), buffer_ + num_ids_);
    num_ids_ += found_.size();
  }
}

void Bpe::Run::merge(std::string_view word, bool piece) {
  if (!piece && bpe_.options_.ignore_merges) {
    if (const TokenId id = bpe_.words_.find(word); id >= 0) return found_.push_back(id);
  }
  symbols_.clear();
  if (symbols_.capacity() > kKeptSymbols) symbols_ = std::vector<TokenId>();
  if (bpe_.options_.byte_level && word.size() > 2 && symbols_of_characters(word)) {
    merge_symbols(bpe_.merges_, symbols_, found_);
    return;
  }
  symbols_.clear();
  bpe_.symbols_of(word, symbols_);
  // One symbol for each byte, and each of them in the table of pairs.
  const bool by_pairs = symbols_.size() == word.size() && word.size() <= kMaxScan &&
                        (bpe_.options_.byte_level || bpe_.is_known_ascii(word));
  if (by_pairs)
    merge_bytes(bpe_.merges_, bpe_.byte_merges_.data(), word, symbols_, found_);
  else
    merge_symbols(bpe_.merges_, symbols_, found_);
}

// Starts from the tokens of each character instead of from bytes. Right where no merge of less than three bytes on one
// side reaches across a character's ends before the merges within it are done: what reaches across later takes
// characters of two or three bytes whole. False where that is not sure, or nothing would be won.
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
    for (size_t i = pos + 1; i < end; ++i) {
      if ((static_cast<unsigned char>(word[i]) & 0xC0) != 0x80) return false;
    }
    uint32_t rank = UINT32_MAX;  // of the first merge across
    if (pos > 0) rank = bpe_.seams_.short_rank(word[pos - 1], word[pos]);
    if (end < word.size()) rank = std::min(rank, bpe_.seams_.short_rank(word[end - 1], word[end]));
    any = true;
    size_t after = pos;
    const char32_t code = read_char(word, after);
    if (const TokenId id = bpe_.char_id(code); id >= 0) {
      if (rank != UINT32_MAX && bpe_.char_rank(code) >= rank) return false;
      symbols_.push_back(id);
      continue;
    }
    if (rank != UINT32_MAX) return false;
    TokenId bytes[3];
    for (size_t i = 0; i < size; ++i) {
      bytes[i] = bpe_.byte_ids_[static_cast<unsigned char>(word[pos + i])];
      if (bytes[i] < 0) return false;
    }
    merge_bytes(bpe_.merges_, bpe_.byte_merges_.data(), word.substr(pos, size), bytes, symbols_);
  }
  return any;
}

}  // namespace vllm::text
