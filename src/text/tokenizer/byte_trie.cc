#include "text/tokenizer/byte_trie.h"

#include <algorithm>
#include <string>

namespace vllm::text {

// Where children with these labels all find a free cell: among the next cells, else in a block of its own. Looked at
// and not taken too often, a cell is forgotten, so that the time is bounded whatever the labels are.
uint32_t ByteTrie::find_base(std::string_view labels) {
  constexpr uint32_t kMostCells = 256;
  const auto first = static_cast<uint8_t>(labels[0]);
  while (first_free_ < cells_.size() && cells_[first_free_].parent != kFree) ++first_free_;
  const auto end = static_cast<uint32_t>(std::min<size_t>(cells_.size(), first_free_ + kMostCells));
  for (uint32_t place = first_free_; place < end; ++place) {
    const uint32_t base = place ^ first;
    const auto is_free = [&](char label) {
      const uint32_t cell = base ^ static_cast<uint8_t>(label);
      return cell != 0 && cells_[cell].parent == kFree;
    };
    if (std::all_of(labels.begin(), labels.end(), is_free)) return base;
  }
  if (end - first_free_ == kMostCells) first_free_ += kMostCells / 2;
  const auto block = static_cast<uint32_t>(cells_.size());
  cells_.resize(block + kBlock);
  return block;
}

// Breadth first: the entries that share a node's prefix are a range of the sorted list.
void ByteTrie::build(std::vector<Entry> entries) {
  std::erase_if(entries, [](const Entry& entry) { return entry.text.empty(); });
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.text < b.text; });
  struct Range {
    uint32_t node;
    size_t begin, end;
  };
  cells_.assign(entries.empty() ? 1 : kBlock, Cell{});
  first_free_ = 1;
  std::fill(std::begin(roots_), std::end(roots_), 0);
  std::vector<Range> level = {{0, 0, entries.size()}}, next, children;
  std::string labels;
  for (size_t depth = 0; !level.empty(); ++depth, std::swap(level, next)) {
    next.clear();
    for (const Range& range : level) {
      size_t i = range.begin;
      while (i < range.end && entries[i].text.size() == depth) ++i;  // ends here: its value was taken one level up
      labels.clear(), children.clear();
      while (i < range.end) {
        const char label = entries[i].text[depth];
        const size_t begin = i;
        while (i < range.end && entries[i].text[depth] == label) ++i;
        labels.push_back(label), children.push_back({0, begin, i});
      }
      if (labels.empty()) continue;
      const uint32_t base = find_base(labels);
      cells_[range.node].base = base;
      for (size_t c = 0; c < labels.size(); ++c) {
        const auto label = static_cast<uint8_t>(labels[c]);
        Range& child = children[c];
        child.node = base ^ label;
        const Entry& first = entries[child.begin];
        cells_[child.node].parent = range.node;
        cells_[child.node].value = first.text.size() == depth + 1 ? first.value : -1;
        if (depth == 0) roots_[label] = child.node;
        next.push_back(child);
      }
    }
  }
}

}  // namespace vllm::text
