#pragma once
// Two open-addressing tables for vocabularies: strings to ids and pairs of ids to merges. Filled once, then read-only.
// Both are keyed by a random seed per process, so that no file can be made to collide.
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "text/tokenizer/huge_pages.h"
#include "types/types.h"

namespace vllm::text {

uint64_t hash_seed();  // the process's seed

inline uint64_t mix64(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a ^ 0x9E3779B97F4A7C15u) * (b ^ 0xD6E8FEB86659FD93u);
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}
inline uint64_t hash_bytes(std::string_view text, uint64_t seed) {
  uint64_t hash = seed ^ text.size();
  while (text.size() >= 8) {
    uint64_t word;
    std::memcpy(&word, text.data(), 8);
    hash = mix64(hash, word);
    text.remove_prefix(8);
  }
  uint64_t tail = 0;
  if (!text.empty()) std::memcpy(&tail, text.data(), text.size());
  return mix64(hash, tail ^ seed);
}

/// Strings to ids. A slot is eight bytes: the strings are looked up by id in a table that the owner keeps.
class StringMap {
 public:
  /// `texts` by id, as large as the largest id that will be inserted asks; it must outlive the map and stay in place.
  void reserve(size_t count, const std::string_view* texts) {
    slots_.assign(std::bit_ceil(count + count / 3 + 8), Slot{});
    mask_ = slots_.size() - 1;
    texts_ = texts;
  }
  /// A look-up in two steps, so that several can wait for memory at once.
  struct Query {
    std::string_view text;
    uint64_t hash;
  };
  /// Insert texts[id]: at most reserve()'s count of keys. False if it is there: it keeps its first id.
  bool insert(TokenId id) { return insert(query(texts_[id]), id); }
  /// The same; `key` is query(texts_[id]).
  bool insert(const Query& key, TokenId id) {
    size_t i = key.hash & mask_;
    for (; slots_[i].id >= 0; i = (i + 1) & mask_) {
      if (holds(slots_[i], key)) return false;
    }
    slots_[i] = {static_cast<uint32_t>(key.hash >> 32), id};
    return true;
  }
  Query query(std::string_view text) const { return {text, hash_bytes(text, seed_)}; }
  void prefetch(const Query& key) const { __builtin_prefetch(slots_.data() + (key.hash & mask_)); }
  /// The id, or -1.
  TokenId find(const Query& key) const {
    if (slots_.empty()) return -1;
    for (size_t i = key.hash & mask_; slots_[i].id >= 0; i = (i + 1) & mask_) {
      if (holds(slots_[i], key)) return slots_[i].id;
    }
    return -1;
  }
  TokenId find(std::string_view text) const { return find(query(text)); }

 private:
  struct Slot {
    uint32_t tag = 0;  // the hash's upper half: nearly every other key is told apart without reading it
    TokenId id = -1;
  };
  bool holds(const Slot& slot, const Query& key) const {
    return slot.tag == static_cast<uint32_t>(key.hash >> 32) && texts_[slot.id] == key.text;
  }
  uint64_t seed_ = hash_seed();
  size_t mask_ = 0;
  HugeVector<Slot> slots_;
  const std::string_view* texts_ = nullptr;
};

struct Merge {
  uint32_t rank;  // lower merges first
  TokenId id;     // of the result
};

/// Pairs of ids to merges.
class MergeMap {
 public:
  void reserve(size_t count) {
    slots_.assign(std::bit_ceil(count + count / 3 + 8), Slot{});
    mask_ = slots_.size() - 1;
  }
  /// At most reserve()'s count of pairs; a later merge of the same pair wins, as in Hugging Face's loader.
  void insert(TokenId left, TokenId right, Merge merge) {
    const uint64_t key = key_of(left, right);
    size_t i = mix64(key, seed_) & mask_;
    while (slots_[i].key != kEmpty && slots_[i].key != key) i = (i + 1) & mask_;
    slots_[i] = {key, merge};
  }
  void prefetch(TokenId left, TokenId right) const {
    __builtin_prefetch(slots_.data() + (mix64(key_of(left, right), seed_) & mask_));
  }
  /// The merge of this pair, or nullptr.
  const Merge* find(TokenId left, TokenId right) const {
    const uint64_t key = key_of(left, right);
    for (size_t i = mix64(key, seed_) & mask_; slots_[i].key != kEmpty; i = (i + 1) & mask_) {
      if (slots_[i].key == key) return &slots_[i].merge;
    }
    return nullptr;
  }

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};  // no pair: ids are not negative
  static uint64_t key_of(TokenId left, TokenId right) {
    return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
  }
  struct Slot {
    uint64_t key = kEmpty;
    Merge merge{0, 0};
  };
  uint64_t seed_ = hash_seed();
  size_t mask_ = 0;
  HugeVector<Slot> slots_ = HugeVector<Slot>(1);
};

}  // namespace vllm::text
