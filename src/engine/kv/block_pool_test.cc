#include "engine/kv/block_pool.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace vllm::engine {
namespace {

TEST(BlockPool, NullBlockIsNeverHandedOut) {
  BlockPool pool(4);
  EXPECT_EQ(pool.num_blocks(), 3);
  EXPECT_EQ(pool.num_free(), 3);
  for (BlockId id : {1, 2, 3}) EXPECT_EQ(pool.allocate(), id);
  EXPECT_EQ(pool.num_free(), 0);
  EXPECT_EQ(BlockPool(0).num_free(), 0);
  EXPECT_EQ(BlockPool(1).num_free(), 0);
}

TEST(BlockPool, KeptBlocksComeBackLastOthersFirst) {
  BlockPool pool(5);
  for (int i = 0; i < 4; ++i) pool.allocate();
  pool.unref(3, true);
  pool.unref(1, true);
  pool.unref(4, false);
  pool.ref(3), pool.unref(3, true);  // used once more: now behind 1
  EXPECT_EQ(pool.allocate(), 4);
  EXPECT_EQ(pool.allocate(), 1);
  EXPECT_EQ(pool.allocate(), 3);
}

TEST(BlockPool, SharedBlockIsFreeAfterItsLastUser) {
  BlockPool pool(3);
  BlockId id = pool.allocate();
  pool.ref(id);
  pool.unref(id, true);
  EXPECT_EQ(pool.num_free(), 1);
  pool.unref(id, true);
  EXPECT_EQ(pool.num_free(), 2);
  EXPECT_EQ(pool.ref_count(id), 0);
}

TEST(BlockPool, AgreesWithAPlainListUnderRandomUse) {
  BlockPool pool(9);
  std::deque<BlockId> list{1, 2, 3, 4, 5, 6, 7, 8};
  std::vector<int> refs(9);
  std::mt19937 rng(1);
  for (int step = 0; step < 20000; ++step) {
    BlockId id = 1 + static_cast<int>(rng() % 8);
    switch (rng() % 3) {
      case 0:
        if (list.empty()) break;
        ASSERT_EQ(pool.allocate(), list.front());
        refs[list.front()] = 1, list.pop_front();
        break;
      case 1:
        if (refs[id]++ == 0) std::erase(list, id);
        pool.ref(id);
        break;
      default:
        if (refs[id] == 0) break;
        bool keep = rng() % 2;
        pool.unref(id, keep);
        if (--refs[id] == 0) keep ? list.push_back(id) : list.push_front(id);
    }
    ASSERT_EQ(pool.num_free(), static_cast<int>(list.size()));
  }
}

}  // namespace
}  // namespace vllm::engine
