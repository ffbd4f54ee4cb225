#pragma once
// The places of a text that some merge of BPE joins. Where two characters stand side by side that no merge has at its
// seam, nothing is ever merged across: the text may be cut there, and its pieces are short and cacheable.
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/tokenizer/hash_map.h"

namespace vllm::text {

/// Where two symbols may meet and merge. Exact for pairs of ASCII; for others false hits are possible and harmless.
class Seams {
 public:
  /// Note a merge whose left side ends with one character and whose right side starts with the other.
  void add_chars(char32_t left, char32_t right) {
    if ((left | right) < 0x80)
      set(pairs_, left << 8 | right);
    else
      set_filter(left, right);
  }
  /// The same for raw bytes: up to three of the end of the left side and of the start of the right side.
  void add_bytes(std::string_view left, std::string_view right, uint32_t rank);

  bool joins_ascii(unsigned char left, unsigned char right) const { return test(pairs_, pair(left, right)); }
  bool joins_chars(char32_t left, char32_t right) const {
    return (left | right) < 0x80 ? test(pairs_, left << 8 | right) : test_filter(left, right);
  }
  /// A merge joins these two bytes of which one side has less than three.
  bool joins_short(char left, char right) const {
    return test(pairs_, pair(static_cast<unsigned char>(left), static_cast<unsigned char>(right)));
  }
  /// The lowest rank of such a merge; UINT32_MAX if there is none.
  uint32_t short_rank(char left, char right) const {
    return short_ranks_.empty()
               ? UINT32_MAX
               : short_ranks_[pair(static_cast<unsigned char>(left), static_cast<unsigned char>(right))];
  }
  /// Whether a merge with three bytes or more on both sides may join the bytes of `word` at `cut`.
  bool joins_long(std::string_view word, size_t cut) const {
    if (cut < 3 || word.size() - cut < 3) return false;
    return test_filter(three_bytes(word.data() + cut - 3), three_bytes(word.data() + cut));
  }

 private:
  static constexpr int kFilterBits = 15;  // words of 64 bits
  static size_t pair(unsigned char left, unsigned char right) { return static_cast<size_t>(left) << 8 | right; }
  static bool test(const std::vector<uint64_t>& bits, size_t bit) { return (bits[bit / 64] >> bit % 64 & 1) != 0; }
  static void set(std::vector<uint64_t>& bits, size_t bit) { bits[bit / 64] |= uint64_t{1} << bit % 64; }
  static uint32_t three_bytes(const char* p) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(p);
    return bytes[0] | static_cast<uint32_t>(bytes[1]) << 8 | static_cast<uint32_t>(bytes[2]) << 16;
  }
  // Three bits of one word for each pair.
  struct Place {
    size_t word;
    uint64_t bits;
  };
  static Place place(uint32_t left, uint32_t right) {
    const uint64_t hash = mix64(static_cast<uint64_t>(left) << 32 | right, 0);
    return {static_cast<size_t>(hash >> (64 - kFilterBits)),
            uint64_t{1} << (hash & 63) | uint64_t{1} << (hash >> 6 & 63) | uint64_t{1} << (hash >> 12 & 63)};
  }
  bool test_filter(uint32_t left, uint32_t right) const {
    const Place at = place(left, right);
    return (filter_[at.word] & at.bits) == at.bits;
  }
  void set_filter(uint32_t left, uint32_t right) {
    const Place at = place(left, right);
    filter_[at.word] |= at.bits;
  }

  std::vector<uint64_t> pairs_ = std::vector<uint64_t>(65536 / 64);
  std::vector<uint32_t> short_ranks_;  // of bytes
  std::vector<uint64_t> filter_ = std::vector<uint64_t>(size_t{1} << kFilterBits);
};

}  // namespace vllm::text
