#include "engine/kv/block_manager.h"

#include <gtest/gtest.h>

#include <numeric>

namespace vllm::engine {
namespace {

using Tokens = std::vector<TokenId>;

Tokens iota(int n) {
  Tokens t(n);
  std::iota(t.begin(), t.end(), 0);
  return t;
}
BlockManager make(std::vector<int64_t> windows, int64_t num_blocks = 33, PrefixCache::HashFn hash = siphash128) {
  return BlockManager(
      {.num_blocks = num_blocks, .block_size = 4, .sliding_windows = std::move(windows), .hash = std::move(hash)});
}
// Run a sequence through the manager as the scheduler does: whole prompt in one chunk, then gone. Returns the hit's
// blocks.
size_t run(BlockManager& m, const Tokens& tokens, std::string_view salt = "") {
  SequenceBlocks b;
  PrefixHit hit = m.find_prefix(tokens, salt);
  m.start(b, hit);
  EXPECT_TRUE(m.reserve(b, static_cast<int64_t>(tokens.size())));
  m.commit(b, tokens, salt);
  m.slide(b, static_cast<int64_t>(tokens.size()));
  m.release(b);
  EXPECT_EQ(m.num_free(), m.num_blocks());
  return hit.nodes.size();
}

TEST(BlockManager, LastTokenIsNeverServed) {  // INV-7
  BlockManager m = make({0});
  EXPECT_EQ(run(m, iota(16)), 0u);
  EXPECT_EQ(run(m, iota(16)), 3u);  // the 4th block holds the last token
  EXPECT_EQ(run(m, iota(17)), 4u);
  EXPECT_EQ(run(m, iota(15)), 3u);
  EXPECT_EQ(run(m, iota(4)), 0u);
}

TEST(BlockManager, SaltSeparatesTenants) {  // INV-5
  BlockManager m = make({0});
  run(m, iota(16), "a");
  EXPECT_EQ(run(m, iota(16), "b"), 0u);
  EXPECT_EQ(run(m, iota(16), ""), 0u);
  EXPECT_EQ(run(m, iota(16), "a"), 3u);
}

TEST(BlockManager, EvictsEndOfPrefixFirst) {
  BlockManager m = make({0}, 9);  // 8 pages
  run(m, iota(24));               // 6 of them cached
  Tokens other(16, 99);
  run(m, other);  // takes the 2 that hold nothing, then evicts the last 2 of the first
  EXPECT_EQ(m.find_prefix(iota(25), "").nodes.size(), 4u);
}

TEST(BlockManager, ReserveIsAllOrNothing) {
  BlockManager m = make({0, 0}, 6);  // 5 pages, 2 a block of tokens
  SequenceBlocks b;
  m.start(b, {});
  EXPECT_TRUE(m.reserve(b, 8));
  EXPECT_EQ(m.num_free(), 1);
  EXPECT_FALSE(m.reserve(b, 9));
  EXPECT_EQ(m.num_free(), 1);
  EXPECT_EQ(b.tables[0].ids.size(), 2u);
  m.trim(b, 4);
  EXPECT_EQ(m.num_free(), 3);
  m.release(b);
  EXPECT_EQ(m.num_free(), 5);
}

TEST(BlockManager, WindowReleasesWhatNoQuerySees) {  // INV-12
  BlockManager m = make({6});
  SequenceBlocks b;
  m.start(b, {});
  ASSERT_TRUE(m.reserve(b, 20));
  m.slide(b, 8);  // a query at 8 sees 3..8
  EXPECT_EQ(b.tables[0].first_live, 0u);
  m.slide(b, 9);  // 4..9
  EXPECT_EQ(b.tables[0].first_live, 1u);
  EXPECT_EQ(b.tables[0].ids[0], kNullBlock);
  m.slide(b, 20);  // 15..20
  EXPECT_EQ(b.tables[0].first_live, 3u);
  EXPECT_EQ(m.num_free(), 30);
  m.release(b);
  EXPECT_EQ(m.num_free(), 32);
}

TEST(BlockManager, WindowGroupNeedsOnlyTheWindowForAHit) {
  BlockManager m = make({6});
  run(m, iota(32));  // blocks 0..5 slid out first, then 7 and 6 were released
  SequenceBlocks other;
  m.start(other, {});
  ASSERT_TRUE(m.reserve(other, 4 * (24 + 6)));              // 24 pages without content, then blocks 0..5
  EXPECT_EQ(m.find_prefix(iota(33), "").nodes.size(), 8u);  // a query at 32 sees 27..32: blocks 6 and 7
  ASSERT_TRUE(m.reserve(other, 4 * (24 + 7)));
  EXPECT_EQ(m.find_prefix(iota(33), "").nodes.size(), 0u);
  m.release(other);
}

TEST(BlockManager, HitIsTheLongestThatAllGroupsServe) {  // INV-12
  BlockManager m = make({0, 6});
  Tokens tokens = iota(32);
  SequenceBlocks b;
  m.start(b, {});
  ASSERT_TRUE(m.reserve(b, 32));
  m.commit(b, std::span(tokens).first(16), "");
  EXPECT_EQ(m.find_prefix(tokens, "").nodes.size(), 4u);
  m.slide(b, 16);  // blocks 0..1 of the window group become free, and stay cached
  m.commit(b, tokens, "");
  EXPECT_EQ(m.find_prefix(iota(33), "").nodes.size(), 8u);
  SequenceBlocks hit;
  m.start(hit, m.find_prefix(iota(33), ""));
  EXPECT_EQ(hit.tables[0].first_live, 0u);
  EXPECT_EQ(hit.tables[1].first_live, 6u);  // a query at 32 sees 27..32
  EXPECT_EQ(hit.tables[1].ids[5], kNullBlock);
  EXPECT_EQ(hit.tables[1].ids[6], b.tables[1].ids[6]);
  EXPECT_EQ(m.pool().ref_count(b.tables[1].ids[6]), 2);
  m.release(b);
  m.release(hit);
}

TEST(BlockManager, CollisionsServeNothingWrong) {  // INV-5
  BlockManager m = make({0}, 33, [](Hash128, std::span<const std::byte>) { return Hash128{1, 1}; });
  run(m, iota(16));
  EXPECT_EQ(m.find_prefix(Tokens{9, 9, 9, 9, 9}, "").nodes.size(), 0u);
  EXPECT_EQ(m.find_prefix(iota(16), "").nodes.size(), 1u);  // only the first block could be entered
}

TEST(BlockManager, TwinBlocksKeepTheFirstPage) {
  BlockManager m = make({0});
  SequenceBlocks a, b;
  Tokens tokens = iota(8);
  for (SequenceBlocks* s : {&a, &b}) {
    m.start(*s, {});
    ASSERT_TRUE(m.reserve(*s, 8));
  }
  m.commit(a, tokens, "");
  m.commit(b, tokens, "");
  BlockId first = a.tables[0].ids[0];
  m.release(b);
  SequenceBlocks c;
  m.start(c, m.find_prefix(iota(9), ""));
  EXPECT_EQ(c.tables[0].ids[0], first);
  m.release(a);
  m.release(c);
  EXPECT_EQ(m.num_free(), m.num_blocks());
}

TEST(BlockManager, ResetForgetsEverything) {
  BlockManager m = make({0, 6});
  run(m, iota(16));
  m.reset_prefix_cache();
  EXPECT_EQ(m.num_free(), m.num_blocks());
  EXPECT_EQ(run(m, iota(16)), 0u);
  EXPECT_EQ(run(m, iota(16)), 3u);
}

TEST(BlockManager, CapacityFitsAloneTokenByToken) {
  for (auto windows : std::vector<std::vector<int64_t>>{{0}, {0, 0}, {0, 6}, {6, 0, 9}, {0, 1}}) {
    BlockManager m = make(windows, 14);
    const int64_t capacity = m.capacity_tokens();
    ASSERT_GT(capacity, 0);
    SequenceBlocks b;
    m.start(b, {});
    for (int64_t n = 0; n < capacity; ++n) {
      ASSERT_TRUE(m.reserve(b, n + 1)) << n;
      m.slide(b, n + 1);
    }
    m.release(b);
  }
  EXPECT_EQ(make({0}, 14).capacity_tokens(), 52);
  EXPECT_EQ(make({0}, 1).capacity_tokens(), 0);
  EXPECT_GT(make({6}, 14).capacity_tokens(), 1ll << 50);
}

}  // namespace
}  // namespace vllm::engine
