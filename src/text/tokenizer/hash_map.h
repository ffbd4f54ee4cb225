#pragma once
// Two open-addressing tables for vocabularies: strings to ids and pairs of ids to merges. Filled once, then read-only.
// Both are keyed by a random seed per process, so that no file can be made to collide.
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

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

/// Strings (of less than 4 GiB) to ids. The strings must outlive the map and stay in place.
class StringMap {
 public:
  void reserve(size_t count) {
    slots_.assign(std::bit_ceil(count * 2 + 8), Slot{});
    mask_ = slots_.size() - 1;
  }
  /// At most reserve()'s count of keys; a key that is there keeps its first id.
  void insert(std::string_view key, TokenId id) {
    const uint64_t hash = hash_bytes(key, seed_);
    size_t i = hash & mask_;
    for (; slots_[i].id >= 0; i = (i + 1) & mask_) {
      if (slots_[i].holds(key, hash)) return;
    }
    slots_[i] = {key.data(), static_cast<uint32_t>(key.size()), static_cast<uint32_t>(hash >> 32), id};
  }
  /// The id, or -1.
  TokenId find(std::string_view key) const {
    if (slots_.empty()) return -1;
    const uint64_t hash = hash_bytes(key, seed_);
    for (size_t i = hash & mask_; slots_[i].id >= 0; i = (i + 1) & mask_) {
      if (slots_[i].holds(key, hash)) return slots_[i].id;
    }
    return -1;
  }

 private:
  struct Slot {
    const char* data = nullptr;
    uint32_t size = 0;
    uint32_t tag = 0;  // the hash's upper half: nearly every other key is told apart without reading it
    TokenId id = -1;
    bool holds(std::string_view key, uint64_t hash) const {
      return tag == static_cast<uint32_t>(hash >> 32) && std::string_view(data, size) == key;
    }
  };
  uint64_t seed_ = hash_seed();
  size_t mask_ = 0;
  std::vector<Slot> slots_;
};

struct Merge {
  uint32_t rank;  // lower merges first
  TokenId id;     // of the result
};

/// Pairs of ids to merges.
class MergeMap {
 public:
  void reserve(size_t count) {
    slots_.assign(std::bit_ceil(count * 2 + 8), Slot{});
    mask_ = slots_.size() - 1;
  }
  /// At most reserve()'s count of pairs; a later merge of the same pair wins, as in Hugging Face's loader.
  void insert(TokenId left, TokenId right, Merge merge) {
    const uint64_t key = key_of(left, right);
    size_t i = mix64(key, seed_) & mask_;
    while (slots_[i].key != kEmpty && slots_[i].key != key) i = (i + 1) & mask_;
    slots_[i] = {key, merge};
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
  std::vector<Slot> slots_ = std::vector<Slot>(1);
};

}  // namespace vllm::text
