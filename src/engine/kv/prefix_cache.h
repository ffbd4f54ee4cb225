#pragma once
// Which pages hold which tokens: a tree of full blocks, found by a keyed chain hash and compared exactly.
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "engine/kv/block_pool.h"
#include "types/types.h"

namespace vllm::engine {

/// One node stands for one full block of tokens after one exact history (its chain of parents). For each KV group it
/// names the page that holds the block's KV, or none. A lookup compares tokens, extras and the parent itself: equal
/// hashes of different histories cost a miss, never a wrong page. A node lives while it has a page, a child or a pin.
/// Engine thread only.
class PrefixCache {
 public:
  using NodeId = int32_t;
  static constexpr NodeId kRoot = 0, kNone = -1;
  using HashFn = std::function<Hash128(Hash128 key, std::span<const std::byte>)>;

  struct Options {
    int block_size = 16;
    int num_groups = 1;
    size_t max_nodes = 1 << 20;  // no new nodes beyond it
    HashFn hash = siphash128;    // a parameter so that a test can force collisions
  };
  explicit PrefixCache(Options options);

  /// The block of `tokens` [block_size] after `parent`. `extras` is whatever else decides the content (salt, adapter,
  /// media). kNone if it is unknown, or if its hash belongs to another history.
  NodeId find(NodeId parent, std::span<const TokenId> tokens, std::string_view extras) const;
  /// The same, made if it is unknown; kNone for a collision or a full tree. The result must get a page, a child or a
  /// pin.
  NodeId find_or_add(NodeId parent, std::span<const TokenId> tokens, std::string_view extras);

  BlockId page(NodeId node, int group) const { return pages_[index(node, group)]; }
  void set_page(NodeId node, int group, BlockId block);
  void drop_page(NodeId node, int group);
  void pin(NodeId node) { ++nodes_[node].refs; }
  void unpin(NodeId node);
  size_t num_nodes() const { return by_hash_.size(); }

 private:
  struct Node {
    Hash128 hash;
    NodeId parent = kNone;
    int32_t refs = 0;  // pages + children + pins
    std::string extras;
  };
  size_t index(NodeId node, int group) const { return static_cast<size_t>(node) * options_.num_groups + group; }
  Hash128 chain_hash(NodeId parent, std::span<const TokenId> tokens, std::string_view extras) const;
  bool is(NodeId node, NodeId parent, std::span<const TokenId> tokens, std::string_view extras) const;

  const Options options_;
  const Hash128 key_ = random_key();
  std::vector<Node> nodes_;      // [0] is the root, which is no block
  std::vector<TokenId> tokens_;  // [node, block_size]
  std::vector<BlockId> pages_;   // [node, group]; kNullBlock = none
  std::vector<NodeId> unused_;
  std::unordered_map<Hash128, NodeId, Hash128Hasher> by_hash_;
};

}  // namespace vllm::engine
