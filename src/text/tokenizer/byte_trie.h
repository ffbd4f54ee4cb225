#pragma once
// A set of byte strings with values, for finding all that start at a place of a text: a double array (Aoe 1989), in
// which a step costs one access. Read-only once built.
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer/huge_pages.h"
#include "types/types.h"

namespace vllm::text {

class ByteTrie {
 public:
  struct Entry {
    std::string_view text;
    int32_t value;  // not negative
  };
  /// Empty texts are left out; the first of two equal texts wins. Memory: 12 bytes for each prefix of the texts, and up
  /// to 16 times that where many prefixes go on in 8 to 32 ways that fit no gap.
  void build(std::vector<Entry> entries);

  /// Calls found(length, value) for every entry that `text` starts with, shortest first.
  template <typename Found>
  void prefixes(std::string_view text, Found found) const {
    uint32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      node = child(node, static_cast<unsigned char>(text[i]));
      if (node == 0) return;
      if (cells_[node].value >= 0) found(i + 1, cells_[node].value);
    }
  }
  struct Match {
    size_t length = 0;
    int32_t value = -1;  // -1: none
  };
  Match longest_prefix(std::string_view text) const {
    Match best;
    prefixes(text, [&](size_t length, int32_t value) { best = {length, value}; });
    return best;
  }
  bool empty() const { return cells_.size() <= 1; }

 private:
  // A child's cell is its parent's base with the label's bits flipped, if the cell says that it is of that parent.
  struct Cell {
    uint32_t parent = kFree, base = 0;
    int32_t value = -1;
  };
  static constexpr uint32_t kFree = UINT32_MAX, kBlock = 256;  // cells that a base reaches
  /// 0, the root, if there is none.
  uint32_t child(uint32_t node, unsigned char label) const {
    const uint32_t place = node == 0 ? roots_[label] : cells_[node].base ^ label;
    return cells_[place].parent == node ? place : 0;
  }
  uint32_t find_base(std::string_view labels);

  HugeVector<Cell> cells_;
  uint32_t roots_[256] = {};
  uint32_t first_free_ = 1;  // where the search for free cells starts
};

}  // namespace vllm::text
