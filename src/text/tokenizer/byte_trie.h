#pragma once
// A set of byte strings with values, for finding all that start at a place of a text. Read-only once built; a node's
// children lie side by side, sorted.
#include <array>
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
  /// Empty texts are left out; the first of two equal texts wins. Memory: 56 bytes for each byte of the texts at worst.
  void build(std::vector<Entry> entries);

  /// Calls found(length, value) for every entry that `text` starts with, shortest first.
  template <typename Found>
  void prefixes(std::string_view text, Found found) const {
    uint32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      node = child(node, static_cast<unsigned char>(text[i]));
      if (node == 0) return;
      if (nodes_[node].value >= 0) found(i + 1, nodes_[node].value);
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
  bool empty() const { return nodes_.size() <= 1; }

 private:
  struct Node {
    uint32_t first_child = 0;
    uint16_t num_children = 0;
    uint8_t label = 0;
    int32_t value = -1;
  };
  /// 0, the root, if there is none.
  uint32_t child(uint32_t node, unsigned char label) const {
    if (node == 0) return roots_[label];
    const Node& parent = nodes_[node];
    if (parent.num_children >= kWide && parent.num_children <= kMaxWide) {
      const uint32_t place = wide_[parent.first_child][label];
      return place == 0 ? 0 : wide_first_[parent.first_child] + place - 1;
    }
    uint32_t low = parent.first_child, count = parent.num_children;
    while (count > 1) {
      const uint32_t half = count / 2;
      if (nodes_[low + half].label <= label) low += half;
      count -= half;
    }
    return count == 1 && nodes_[low].label == label ? low : 0;
  }

  // Nodes with many children: a table of their places, plus 1. `first_child` is then the node's place among those.
  static constexpr uint32_t kWide = 6, kMaxWide = 254;

  HugeVector<Node> nodes_;
  HugeVector<std::array<uint8_t, 256>> wide_;
  std::vector<uint32_t> wide_first_;
  uint32_t roots_[256] = {};
};

}  // namespace vllm::text
