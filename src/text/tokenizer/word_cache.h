#pragma once
// What BPE remembers about short words: tables of fixed size, two-way and direct-mapped, which one encode() at a time
// uses.
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "text/tokenizer/hash_map.h"
#include "types/types.h"

namespace vllm::text {

/// A word of up to 15 bytes as two numbers: its bytes, zero-padded, its length in bits 120-123 and a flag in bit 127.
struct WordKey {
  static constexpr size_t kMaxBytes = 15;
  uint64_t low, high;

  /// `readable`: bytes that may be read from `p`, at least `size`. `piece`: a part of a word, which may have other ids
  /// than the same bytes as a whole word.
  static WordKey make(const char* p, size_t size, size_t readable, bool piece) {
    WordKey key{0, 0};
    if (readable >= 16 && std::endian::native == std::endian::little) {
      std::memcpy(&key.low, p, 8);
      std::memcpy(&key.high, p + 8, 8);
      const size_t bits = size * 8;
      key.high = size > 8 ? key.high & ((uint64_t{1} << (bits - 64)) - 1) : 0;
      if (size < 8) key.low &= (uint64_t{1} << bits) - 1;
    } else {
      char bytes[16] = {};
      std::memcpy(bytes, p, size);
      std::memcpy(&key.low, bytes, 8);
      for (size_t i = 8; i < size; ++i) key.high |= uint64_t{static_cast<unsigned char>(bytes[i])} << 8 * (i - 8);
    }
    key.high |= uint64_t{size} << 56 | uint64_t{piece} << 63;
    return key;
  }
};

class WordCache {
 public:
  WordCache() = default;
  WordCache(const WordCache& other) : short_(std::make_unique<decltype(short_)::element_type>(*other.short_)) {}
  struct alignas(32) Slot {
    static constexpr size_t kMaxIds = 4;
    uint64_t low = 0, high = 0;  // the key, and the number of ids in bits 60-62; 0 ids: free
    TokenId ids[kMaxIds];

    bool holds(const WordKey& key) const { return ((low ^ key.low) | ((high ^ key.high) & ~kCountMask)) == 0; }
    size_t count() const { return (high & kCountMask) >> 60; }
    void set(const WordKey& key, const TokenId* found, size_t count) {
      low = key.low;
      high = key.high | uint64_t{count} << 60;
      std::memcpy(ids, found, count * sizeof(TokenId));
    }
    static constexpr uint64_t kCountMask = uint64_t{7} << 60;
  };
  struct LongSlot {
    static constexpr size_t kMaxBytes = 45, kMaxIds = 12;
    uint8_t num_bytes = 0, num_ids = 0;  // 0 bytes: free
    bool piece = false;                  // as in WordKey
    char bytes[kMaxBytes];
    TokenId ids[kMaxIds];
    bool holds(std::string_view word, bool is_piece) const {
      return std::string_view(bytes, num_bytes) == word && piece == is_piece;
    }
    void set(std::string_view word, bool is_piece, const TokenId* found, size_t count) {
      num_bytes = static_cast<uint8_t>(word.size());
      num_ids = static_cast<uint8_t>(count);
      piece = is_piece;
      std::memcpy(bytes, word.data(), word.size());
      std::memcpy(ids, found, count * sizeof(TokenId));
    }
  };

  /// Where a short word is remembered, if it is.
  size_t place_of(const WordKey& key) const { return mix64(key.low ^ seed_, key.high) >> (64 - kSetBits); }
  void prefetch(size_t place) const { __builtin_prefetch(&(*short_)[place]); }
  /// What is remembered of a short word, or nullptr.
  const Slot* find(const WordKey& key, size_t place) {
    Set& set = (*short_)[place];
    if (set[0].holds(key)) return &set[0];
    if (!set[1].holds(key)) return nullptr;
    std::swap(set[0], set[1]);  // the one that was used longer ago goes first
    return &set[0];
  }
  /// Nothing would be forgotten for another word there.
  bool has_room(size_t place) const { return (*short_)[place].slots[1].count() == 0; }
  void remember(const WordKey& key, size_t place, const TokenId* ids, size_t count) {
    Set& set = (*short_)[place];
    set[1] = set[0];
    set[0].set(key, ids, count);
  }
  LongSlot& long_slot(std::string_view word) { return (*long_)[hash_bytes(word, seed_) >> (64 - kLongBits)]; }

 private:
  static constexpr int kSetBits = 15, kLongBits = 12;
  struct alignas(64) Set {  // a cache line
    Slot slots[2];
    Slot& operator[](size_t i) { return slots[i]; }
  };
  uint64_t seed_ = hash_seed();
  std::unique_ptr<std::array<Set, size_t{1} << kSetBits>> short_ = std::make_unique<decltype(short_)::element_type>();
  std::unique_ptr<std::array<LongSlot, size_t{1} << kLongBits>> long_ =
      std::make_unique<decltype(long_)::element_type>();
};

/// Caches (2.4 MB each) that are lent out: as many as encode() runs at once, of which eight are kept.
class WordCachePool {
 public:
  /// Caches start as copies of `first`, if it is given.
  explicit WordCachePool(std::unique_ptr<const WordCache> first = nullptr) : first_(std::move(first)) {}
  WordCachePool(const WordCachePool&) = delete;
  ~WordCachePool() {
    for (auto& place : idle_) delete place.load(std::memory_order_acquire);
  }
  std::unique_ptr<WordCache> take() {
    for (auto& place : idle_) {
      if (place.load(std::memory_order_relaxed) == nullptr) continue;
      if (WordCache* cache = place.exchange(nullptr, std::memory_order_acquire))
        return std::unique_ptr<WordCache>(cache);
    }
    return first_ ? std::make_unique<WordCache>(*first_) : std::make_unique<WordCache>();
  }
  void put(std::unique_ptr<WordCache> cache) {
    for (auto& place : idle_) {
      WordCache* none = nullptr;
      if (place.compare_exchange_strong(none, cache.get(), std::memory_order_release)) {
        cache.release();
        return;
      }
    }
  }

 private:
  std::unique_ptr<const WordCache> first_;
  std::array<std::atomic<WordCache*>, 8> idle_{};
};

}  // namespace vllm::text
