#include "text/tokenizer/bpe_merge.h"

#include <algorithm>
#include <limits>

namespace vllm::text {
namespace {

constexpr uint32_t kNoRank = std::numeric_limits<uint32_t>::max();

// Few symbols: look for the lowest rank again after each merge. `with_next` has the merge of each symbol with the one
// after it; the last has none.
void merge_by_scan(const MergeMap& merges, TokenId* symbols, Merge* with_next, size_t count,
                   std::vector<TokenId>& ids) {
  const auto look = [&](size_t i) {
    const Merge* merge = i + 1 < count ? merges.find(symbols[i], symbols[i + 1]) : nullptr;
    with_next[i] = merge ? *merge : Merge{kNoRank, -1};
  };
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (with_next[i].rank < with_next[best].rank) best = i;
    }
    if (with_next[best].id < 0) break;
    symbols[best] = with_next[best].id;
    std::copy(symbols + best + 2, symbols + count, symbols + best + 1);
    std::copy(with_next + best + 2, with_next + count, with_next + best + 1);
    --count;
    if (best + 1 < count) merges.prefetch(symbols[best], symbols[best + 1]);
    if (best > 0) look(best - 1);
    look(best);
  }
  ids.insert(ids.end(), symbols, symbols + count);
}

// Many symbols: a linked list, and a heap of candidate merges of which stale ones are skipped when they surface.
class HeapMerger {
 public:
  HeapMerger(const MergeMap& merges, const std::vector<TokenId>& symbols) : merges_(merges), links_(symbols.size()) {
    const auto count = static_cast<uint32_t>(symbols.size());
    for (uint32_t i = 0; i < count; ++i) links_[i] = {symbols[i], i - 1, i + 1 < count ? i + 1 : kNone};
    for (uint32_t i = 0; i < count; ++i) {
      if (const Merge* merge = merge_at(i)) heap_.push_back({merge->rank, i, merge->id});
    }
    std::make_heap(heap_.begin(), heap_.end(), later);
  }

  void run(std::vector<TokenId>& ids) {
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), later);
      const Candidate top = heap_.back();
      heap_.pop_back();
      const Merge* merge = merge_at(top.pos);
      if (!merge || merge->id != top.id) continue;  // one of the two is gone, or has grown
      Link& left = links_[top.pos];
      Link& right = links_[left.next];
      left.id = top.id;
      left.next = right.next;
      right.id = -1;
      if (left.next != kNone) links_[left.next].previous = top.pos;
      if (left.previous != kNone) push(left.previous);
      push(top.pos);
    }
    for (uint32_t i = 0; i != kNone; i = links_[i].next) ids.push_back(links_[i].id);
  }

 private:
  static constexpr uint32_t kNone = std::numeric_limits<uint32_t>::max();
  struct Link {
    TokenId id;  // -1: merged into the one before
    uint32_t previous, next;
  };
  struct Candidate {
    uint32_t rank, pos;
    TokenId id;
  };
  static bool later(const Candidate& a, const Candidate& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.pos > b.pos;
  }

  const Merge* merge_at(uint32_t pos) const {
    const Link& left = links_[pos];
    return left.id < 0 || left.next == kNone ? nullptr : merges_.find(left.id, links_[left.next].id);
  }
  void push(uint32_t pos) {
    if (const Merge* merge = merge_at(pos)) {
      heap_.push_back({merge->rank, pos, merge->id});
      std::push_heap(heap_.begin(), heap_.end(), later);
    }
  }

  const MergeMap& merges_;
  std::vector<Link> links_;
  std::vector<Candidate> heap_;
};

}  // namespace

void merge_symbols(const MergeMap& merges, std::vector<TokenId>& symbols, std::vector<TokenId>& ids) {
  const size_t count = symbols.size();
  if (count > kMaxScan) return HeapMerger(merges, symbols).run(ids);
  Merge with_next[kMaxScan];
  for (size_t i = 0; i + 1 < count; ++i) merges.prefetch(symbols[i], symbols[i + 1]);
  for (size_t i = 0; i < count; ++i) {
    const Merge* merge = i + 1 < count ? merges.find(symbols[i], symbols[i + 1]) : nullptr;
    with_next[i] = merge ? *merge : Merge{kNoRank, -1};
  }
  merge_by_scan(merges, symbols.data(), with_next, count, ids);
}

void merge_bytes(const MergeMap& merges, const Merge* byte_merges, std::string_view word, std::span<TokenId> symbols,
                 std::vector<TokenId>& ids) {
  Merge with_next[kMaxScan];
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<unsigned char>(word[i])); };
  for (size_t i = 0; i < word.size(); ++i) {
    const Merge merge = i + 1 < word.size() ? byte_merges[byte(i) << 8 | byte(i + 1)] : Merge{kNoRank, -1};
    with_next[i] = merge.id >= 0 ? merge : Merge{kNoRank, -1};
  }
  merge_by_scan(merges, symbols.data(), with_next, word.size(), ids);
}

}  // namespace vllm::text
