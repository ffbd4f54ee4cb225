#include "engine/kv/prefix_cache.h"

#include <gtest/gtest.h>

namespace vllm::engine {
namespace {

using Tokens = std::vector<TokenId>;
constexpr auto kRoot = PrefixCache::kRoot, kNone = PrefixCache::kNone;

PrefixCache make(PrefixCache::HashFn hash = siphash128, size_t max_nodes = 100) {
  return PrefixCache({.block_size = 2, .num_groups = 2, .max_nodes = max_nodes, .hash = std::move(hash)});
}
Hash128 always_equal(Hash128, std::span<const std::byte>) { return {7, 7}; }

TEST(PrefixCache, FindsByWholeHistoryAndExtras) {
  PrefixCache cache = make();
  auto a = cache.find_or_add(kRoot, Tokens{1, 2}, "salt");
  cache.set_page(a, 0, 5);
  auto b = cache.find_or_add(a, Tokens{1, 2}, "");
  cache.set_page(b, 1, 6);
  EXPECT_EQ(cache.find(kRoot, Tokens{1, 2}, "salt"), a);
  EXPECT_EQ(cache.find(kRoot, Tokens{1, 2}, ""), kNone);
  EXPECT_EQ(cache.find(kRoot, Tokens{1, 2}, "pepper"), kNone);
  EXPECT_EQ(cache.find(kRoot, Tokens{2, 1}, "salt"), kNone);
  EXPECT_EQ(cache.find(a, Tokens{1, 2}, ""), b);
  EXPECT_EQ(cache.page(a, 0), 5);
  EXPECT_EQ(cache.page(a, 1), kNullBlock);
}

TEST(PrefixCache, CollisionIsAMissNotAWrongPage) {  // INV-5
  PrefixCache cache = make(always_equal);
  auto a = cache.find_or_add(kRoot, Tokens{1, 2}, "");
  cache.set_page(a, 0, 5);
  EXPECT_EQ(cache.find(kRoot, Tokens{1, 2}, ""), a);
  EXPECT_EQ(cache.find(kRoot, Tokens{3, 4}, ""), kNone);
  EXPECT_EQ(cache.find(kRoot, Tokens{1, 2}, "salt"), kNone);
  EXPECT_EQ(cache.find(a, Tokens{1, 2}, ""), kNone);  // same tokens, same hash, other history
  EXPECT_EQ(cache.find_or_add(kRoot, Tokens{3, 4}, ""), kNone);
}

TEST(PrefixCache, NodesGoWithTheirLastHolderUpTheChain) {
  PrefixCache cache = make();
  auto node = kRoot;
  for (int i = 0; i < 50; ++i) node = cache.find_or_add(node, Tokens{i, i}, "");
  cache.set_page(node, 0, 5);
  cache.pin(node);
  cache.drop_page(node, 0);
  EXPECT_EQ(cache.num_nodes(), 50u);
  cache.unpin(node);
  EXPECT_EQ(cache.num_nodes(), 0u);
  auto again = cache.find_or_add(kRoot, Tokens{9, 9}, "");
  EXPECT_LE(again, 50);  // ids are used again
}

TEST(PrefixCache, NumberOfNodesIsBounded) {
  PrefixCache cache = make(siphash128, 2);
  for (int i = 0; i < 2; ++i) cache.pin(cache.find_or_add(kRoot, Tokens{i, i}, ""));
  EXPECT_EQ(cache.find_or_add(kRoot, Tokens{2, 2}, ""), kNone);
  EXPECT_NE(cache.find_or_add(kRoot, Tokens{1, 1}, ""), kNone);
}

}  // namespace
}  // namespace vllm::engine
