#pragma once
// Block tables of sequences over one pool: reserve for an upper bound, trim, slide, enter into the prefix cache,
// release.
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "engine/kv/block_pool.h"
#include "engine/kv/prefix_cache.h"

namespace vllm::engine {

/// One sequence's pages. Owned by the sequence, changed by the BlockManager only.
struct SequenceBlocks {
  struct Table {
    std::vector<BlockId> ids;  // entry i holds tokens [i * block_size, (i + 1) * block_size); kNullBlock = none
    size_t first_live = 0;     // entries before it are kNullBlock
    size_t num_sent = 0;       // entries that the device knows
  };
  std::vector<Table> tables;                      // [group]; empty = holds nothing
  PrefixCache::NodeId tail = PrefixCache::kNone;  // last block entered into the cache (pinned); kNone = enters no more
  size_t num_cached = 0;                          // blocks entered, or found there
};

/// The longest usable prefix in the cache, and what taking it costs.
struct PrefixHit {
  std::vector<PrefixCache::NodeId> nodes;  // one per block of the prefix
  int64_t num_pages = 0;                   // over all groups
  int64_t num_unused_pages = 0;            // of these, the ones that count as free now and would not any more
};

/// Knows tokens and pages, no device and no scheduling. Engine thread only.
class BlockManager {
 public:
  struct Options {
    int64_t num_blocks = 0;                // null block included
    int block_size = 16;                   // tokens
    std::vector<int64_t> sliding_windows;  // [group], 0 = full attention
    bool enable_prefix_caching = true;
    PrefixCache::HashFn hash = siphash128;
  };
  explicit BlockManager(Options options);

  int block_size() const { return options_.block_size; }
  int64_t num_blocks() const { return pool_.num_blocks(); }
  int64_t num_free() const { return pool_.num_free(); }
  const BlockPool& pool() const { return pool_; }
  /// Tokens of the longest sequence that the pool can hold when it is alone and advances token by token.
  int64_t capacity_tokens() const;
  /// Upper bound of the pages that a sequence of `num_tokens` needs if it advances `chunk` tokens a step.
  int64_t pages_needed(int64_t num_tokens, int64_t chunk) const;

  /// Find the longest prefix of `tokens` that every group can serve; the last token is never part of it.
  PrefixHit find_prefix(std::span<const TokenId> tokens, std::string_view extras) const;
  /// Begin a sequence with the pages of a hit (which may be empty).
  void start(SequenceBlocks& blocks, const PrefixHit& hit);
  /// Make room for tokens [0, end). False, and nothing changed, if the free pages do not suffice.
  bool reserve(SequenceBlocks& blocks, int64_t end);
  /// Give back pages that hold no token before `end`.
  void trim(SequenceBlocks& blocks, int64_t end);
  /// Give back pages of sliding-window groups that no query at `num_computed` or later can see.
  void slide(SequenceBlocks& blocks, int64_t num_computed);
  /// Enter the full blocks of `tokens` (computed, and known on the host) into the prefix cache.
  void commit(SequenceBlocks& blocks, std::span<const TokenId> tokens, std::string_view extras);
  void release(SequenceBlocks& blocks);

  /// Forget every cached block, used ones too: they stay with their users and are not found any more.
  void reset_prefix_cache();

 private:
  struct Entry {
    PrefixCache::NodeId node = PrefixCache::kNone;  // whose page it is; kNone = not in the cache
    int group = 0;
  };
  int64_t blocks_of(int64_t num_tokens) const { return (num_tokens + options_.block_size - 1) / options_.block_size; }
  size_t first_visible(int group, int64_t position) const;
  BlockId allocate();
  void unref(BlockId id);
  void forget(BlockId id);

  const Options options_;
  BlockPool pool_;
  PrefixCache cache_;
  std::vector<Entry> entries_;  // [block id]
};

}  // namespace vllm::engine
