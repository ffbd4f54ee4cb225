#include "text/tokenizer/byte_trie.h"

#include <algorithm>

namespace vllm::text {

// Breadth first: the entries that share a node's prefix are a range of the sorted list.
void ByteTrie::build(std::vector<Entry> entries) {
  std::erase_if(entries, [](const Entry& entry) { return entry.text.empty(); });
  std::vector<std::pair<Entry, size_t>> order;  // with places, so that equal texts keep their order
  order.reserve(entries.size());
  for (const Entry& entry : entries) order.emplace_back(entry, order.size());
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    const int before = a.first.text.compare(b.first.text);
    return before != 0 ? before < 0 : a.second < b.second;
  });
  for (size_t i = 0; i < order.size(); ++i) entries[i] = order[i].first;
  struct Range {
    uint32_t node;
    size_t begin, end;
  };
  nodes_.assign(1, Node{});
  wide_.clear();
  wide_first_.clear();
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
  for (size_t i = 1; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    if (node.num_children < kWide || node.num_children > kMaxWide) continue;
    auto& places = wide_.emplace_back();
    for (uint32_t k = 0; k < node.num_children; ++k)
      places[nodes_[node.first_child + k].label] = static_cast<uint8_t>(k + 1);
    wide_first_.push_back(node.first_child);
    node.first_child = static_cast<uint32_t>(wide_.size() - 1);
  }
}

}  // namespace vllm::text
