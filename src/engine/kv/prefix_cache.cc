#include "engine/kv/prefix_cache.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"

namespace vllm::engine {

PrefixCache::PrefixCache(Options options) : options_(std::move(options)), nodes_(1) {
  nodes_[kRoot].refs = 1;  // for ever
  tokens_.resize(options_.block_size);
  pages_.resize(options_.num_groups);
}

Hash128 PrefixCache::chain_hash(NodeId parent, std::span<const TokenId> tokens, std::string_view extras) const {
  // The length of the extras stands before them, so no two (extras, tokens) share a byte string.
  thread_local std::string buffer;
  const uint64_t extras_size = extras.size();
  buffer.assign(reinterpret_cast<const char*>(&nodes_[parent].hash), sizeof(Hash128));
  buffer.append(reinterpret_cast<const char*>(&extras_size), sizeof extras_size).append(extras);
  buffer.append(reinterpret_cast<const char*>(tokens.data()), tokens.size_bytes());
  return options_.hash(key_, std::as_bytes(std::span(buffer)));
}

bool PrefixCache::is(NodeId node, NodeId parent, std::span<const TokenId> tokens, std::string_view extras) const {
  return nodes_[node].parent == parent && nodes_[node].extras == extras &&
         std::equal(tokens.begin(), tokens.end(), tokens_.begin() + static_cast<ptrdiff_t>(node) * options_.block_size);
}

PrefixCache::NodeId PrefixCache::find(NodeId parent, std::span<const TokenId> tokens, std::string_view extras) const {
  CHECK(static_cast<int>(tokens.size()) == options_.block_size);
  auto found = by_hash_.find(chain_hash(parent, tokens, extras));
  return found != by_hash_.end() && is(found->second, parent, tokens, extras) ? found->second : kNone;
}

PrefixCache::NodeId PrefixCache::find_or_add(NodeId parent, std::span<const TokenId> tokens, std::string_view extras) {
  CHECK(static_cast<int>(tokens.size()) == options_.block_size);
  const Hash128 hash = chain_hash(parent, tokens, extras);
  if (auto found = by_hash_.find(hash); found != by_hash_.end())
    return is(found->second, parent, tokens, extras) ? found->second : kNone;
  if (by_hash_.size() >= options_.max_nodes) return kNone;
  NodeId node;
  if (!unused_.empty()) {
    node = unused_.back();
    unused_.pop_back();
  } else {
    node = static_cast<NodeId>(nodes_.size());
    nodes_.emplace_back();
    tokens_.resize(nodes_.size() * options_.block_size);
    pages_.resize(nodes_.size() * options_.num_groups);
  }
  nodes_[node] = {.hash = hash, .parent = parent, .refs = 0, .extras = std::string(extras)};
  std::copy(tokens.begin(), tokens.end(), tokens_.begin() + static_cast<ptrdiff_t>(node) * options_.block_size);
  pin(parent);
  by_hash_.emplace(hash, node);
  return node;
}

void PrefixCache::set_page(NodeId node, int group, BlockId block) {
  CHECK(page(node, group) == kNullBlock && block != kNullBlock);
  pages_[index(node, group)] = block;
  pin(node);
}

void PrefixCache::drop_page(NodeId node, int group) {
  CHECK(page(node, group) != kNullBlock);
  pages_[index(node, group)] = kNullBlock;
  unpin(node);
}

void PrefixCache::unpin(NodeId node) {
  // A node that goes takes its hold on its parent with it, up the chain.
  while (--nodes_[node].refs == 0) {
    by_hash_.erase(nodes_[node].hash);
    unused_.push_back(node);
    node = nodes_[node].parent;
  }
  CHECK(nodes_[node].refs > 0);
}

}  // namespace vllm::engine
