#include "engine/kv/block_manager.h"

#include <algorithm>

#include "base/check.h"

namespace vllm::engine {

BlockManager::BlockManager(Options options)
    : options_(std::move(options)),
      pool_(static_cast<BlockId>(std::clamp<int64_t>(options_.num_blocks, 1, INT32_MAX))),
      cache_({.block_size = options_.block_size,
              .num_groups = static_cast<int>(options_.sliding_windows.size()),
              .max_nodes = static_cast<size_t>(pool_.num_blocks()) * 64,
              .hash = options_.hash}),
      entries_(pool_.num_blocks() + 1) {
  CHECK(options_.block_size > 0 && !options_.sliding_windows.empty());
}

int64_t BlockManager::pages_needed(int64_t num_tokens, int64_t chunk) const {
  int64_t pages = 0;
  for (int64_t window : options_.sliding_windows) {
    const int64_t all = blocks_of(num_tokens);
    // window - 1 tokens before the first query and the chunk itself, wherever they lie relative to block borders.
    pages += window == 0 || window >= num_tokens ? all : std::min(all, blocks_of(window - 1 + chunk) + 1);
  }
  return pages;
}

int64_t BlockManager::capacity_tokens() const {
  // pages_needed grows with the number of blocks: search for the last one that fits.
  int64_t low = 0, high = num_blocks() + 1;
  if (pages_needed(INT64_MAX / 4, 1) <= num_blocks()) return INT64_MAX / 4;  // windows only
  while (high - low > 1) {
    const int64_t middle = low + (high - low) / 2;
    (pages_needed(middle * options_.block_size, 1) <= num_blocks() ? low : high) = middle;
  }
  return low * options_.block_size;
}

// Index of the first block that a query at `position` can see.
size_t BlockManager::first_visible(int group, int64_t position) const {
  const int64_t window = options_.sliding_windows[group];
  if (window == 0 || position < window) return 0;
  return static_cast<size_t>((position - window + 1) / options_.block_size);
}

PrefixHit BlockManager::find_prefix(std::span<const TokenId> tokens, std::string_view extras) const {
  PrefixHit hit;
  if (!options_.enable_prefix_caching || tokens.empty()) return hit;
  const size_t size = options_.block_size, groups = options_.sliding_windows.size();
  std::vector<size_t> run(groups);  // pages present in a row up to the current block, per group
  size_t best = 0;
  PrefixCache::NodeId node = PrefixCache::kRoot;
  // The last token is left out, so that there is a row to sample from.
  for (size_t i = 0; (i + 1) * size < tokens.size(); ++i) {
    node = cache_.find(node, tokens.subspan(i * size, size), i == 0 ? extras : std::string_view());
    if (node == PrefixCache::kNone) break;
    hit.nodes.push_back(node);
    bool servable = true, reachable = true;
    for (size_t g = 0; g < groups; ++g) {
      run[g] = cache_.page(node, g) == kNullBlock ? 0 : run[g] + 1;
      servable &= run[g] >= i + 1 - std::min(i + 1, first_visible(g, (i + 1) * size));
      reachable &= options_.sliding_windows[g] != 0 || run[g] == i + 1;
    }
    if (!reachable) break;  // full attention needs every page: nothing longer can be served either
    if (servable) best = i + 1;
  }
  hit.nodes.resize(best);
  for (size_t g = 0; g < groups; ++g)
    for (size_t i = first_visible(g, best * size); i < best; ++i, ++hit.num_pages)
      hit.num_unused_pages += pool_.ref_count(cache_.page(hit.nodes[i], g)) == 0;
  return hit;
}

void BlockManager::start(SequenceBlocks& blocks, const PrefixHit& hit) {
  CHECK(blocks.tables.empty());
  const size_t count = hit.nodes.size();
  blocks.tables.resize(options_.sliding_windows.size());
  for (size_t g = 0; g < blocks.tables.size(); ++g) {
    SequenceBlocks::Table& table = blocks.tables[g];
    table.first_live = std::min(count, first_visible(g, count * options_.block_size));
    table.ids.assign(table.first_live, kNullBlock);
    for (size_t i = table.first_live; i < count; ++i) {
      table.ids.push_back(cache_.page(hit.nodes[i], g));
      pool_.ref(table.ids.back());
    }
  }
  blocks.num_cached = count;
  blocks.tail = count ? hit.nodes.back() : options_.enable_prefix_caching ? PrefixCache::kRoot : PrefixCache::kNone;
  if (blocks.tail != PrefixCache::kNone) cache_.pin(blocks.tail);
}

bool BlockManager::reserve(SequenceBlocks& blocks, int64_t end) {
  const size_t wanted = static_cast<size_t>(blocks_of(end));
  size_t missing = 0;
  for (const SequenceBlocks::Table& table : blocks.tables) missing += wanted - std::min(wanted, table.ids.size());
  if (missing > static_cast<size_t>(pool_.num_free())) return false;
  for (SequenceBlocks::Table& table : blocks.tables)
    while (table.ids.size() < wanted) table.ids.push_back(allocate());
  return true;
}

void BlockManager::trim(SequenceBlocks& blocks, int64_t end) {
  const size_t wanted = static_cast<size_t>(blocks_of(end));
  for (SequenceBlocks::Table& table : blocks.tables) {
    while (table.ids.size() > std::max(wanted, table.first_live)) {
      unref(table.ids.back());
      table.ids.pop_back();
    }
    table.num_sent = std::min(table.num_sent, table.ids.size());
  }
}

void BlockManager::slide(SequenceBlocks& blocks, int64_t num_computed) {
  for (size_t g = 0; g < blocks.tables.size(); ++g) {
    SequenceBlocks::Table& table = blocks.tables[g];
    const size_t first = std::min(first_visible(g, num_computed), table.ids.size());
    for (; table.first_live < first; ++table.first_live) {
      unref(table.ids[table.first_live]);
      table.ids[table.first_live] = kNullBlock;
    }
  }
}

void BlockManager::commit(SequenceBlocks& blocks, std::span<const TokenId> tokens, std::string_view extras) {
  const size_t size = options_.block_size;
  while (blocks.tail != PrefixCache::kNone && (blocks.num_cached + 1) * size <= tokens.size()) {
    const size_t i = blocks.num_cached++;
    const auto parent = blocks.tail;
    blocks.tail = cache_.find_or_add(parent, tokens.subspan(i * size, size), i == 0 ? extras : std::string_view());
    if (blocks.tail != PrefixCache::kNone) {
      cache_.pin(blocks.tail);
      for (size_t g = 0; g < blocks.tables.size(); ++g) {
        const BlockId id = blocks.tables[g].ids[i];
        if (id == kNullBlock || cache_.page(blocks.tail, g) != kNullBlock)
          continue;  // a twin was first: its page stays
        cache_.set_page(blocks.tail, g, id);
        entries_[id] = {.node = blocks.tail, .group = static_cast<int>(g)};
      }
    }
    cache_.unpin(parent);
  }
}

void BlockManager::release(SequenceBlocks& blocks) {
  size_t longest = 0;
  for (const SequenceBlocks::Table& table : blocks.tables) longest = std::max(longest, table.ids.size());
  // Last tokens first, so that the end of a prefix is evicted before its beginning.
  for (size_t i = longest; i-- > 0;)
    for (const SequenceBlocks::Table& table : blocks.tables)
      if (i < table.ids.size() && table.ids[i] != kNullBlock) unref(table.ids[i]);
  if (blocks.tail != PrefixCache::kNone) cache_.unpin(blocks.tail);
  blocks = {};
}

void BlockManager::reset_prefix_cache() {
  for (BlockId id = 1; id < static_cast<BlockId>(entries_.size()); ++id) {
    forget(id);
    // An unused page of unknown content goes to the front, as any other.
    if (pool_.ref_count(id) == 0) pool_.ref(id), pool_.unref(id, false);
  }
}

BlockId BlockManager::allocate() {
  const BlockId id = pool_.allocate();
  forget(id);
  return id;
}

void BlockManager::unref(BlockId id) { pool_.unref(id, entries_[id].node != PrefixCache::kNone); }

void BlockManager::forget(BlockId id) {
  if (entries_[id].node == PrefixCache::kNone) return;
  cache_.drop_page(entries_[id].node, entries_[id].group);
  entries_[id].node = PrefixCache::kNone;
}

}  // namespace vllm::engine
