#include "text/tokenizer/byte_trie.h"

#include <algorithm>

namespace vllm::text {

// Breadth first: the entries that share a node's prefix are a range of the sorted list.
void ByteTrie::build(std::vector<Entry> entries) {
  std::erase_if(entries, [](const Entry& entry) { return entry.text.empty(); });
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.text < b.text; });
  struct Range {
    uint32_t node;
    size_t begin, end;
  };
  nodes_.assign(1, Node{});
  std::fill(std::begin(roots_), std::end(roots_), 0);
  std::vector<Range> level = {{0, 0, entries.size()}}, next;
  for (size_t depth = 0; !level.empty(); ++depth, std::swap(level, next)) {
    next.clear();
    for (const Range& range : level) {
      nodes_[range.node].first_child = static_cast<uint32_t>(nodes_.size());
      size_t i = range.begin;
      while (i < range.end && entries[i].text.size() == depth) ++i;  // ends here: its value was taken one level up
      while (i < range.end) {
        const auto label = static_cast<uint8_t>(entries[i].text[depth]);
        const size_t begin = i;
        while (i < range.end && static_cast<uint8_t>(entries[i].text[depth]) == label) ++i;
        const auto node = static_cast<uint32_t>(nodes_.size());
        nodes_.push_back(
            {.label = label, .value = entries[begin].text.size() == depth + 1 ? entries[begin].value : -1});
        ++nodes_[range.node].num_children;
        if (depth == 0) roots_[label] = node;
        next.push_back({node, begin, i});
      }
    }
  }
}

}  // namespace vllm::text
