#include "kernels/paged_attention/attention_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "kernels/paged_attention/attention_plan_ref.h"

namespace vllm {
namespace {

struct Batch {
  std::vector<int32_t> query_start = {0}, seq_lens;
  Batch& add(int count, int32_t queries, int32_t length) {
    for (int i = 0; i < count; ++i) {
      query_start.push_back(query_start.back() + queries), seq_lens.push_back(length);
    }
    return *this;
  }
};

/// Every tile's keys are cut into chunks without gap or overlap, counters and parts do not collide, and all is in
/// bounds.
void expect_sound(const AttentionPlanRules& r, const Batch& b) {
  AttentionPlan plan = plan_attention_ref(r, b.query_start, b.seq_lens);
  std::map<std::pair<int, int>, std::vector<int32_t>> tiles;  // (sequence, tile) -> chunks
  std::map<int32_t, std::pair<int, int>> units;
  int32_t num_tiles = 0, split_rows = 0;
  for (const AttentionWork& w : plan.work) {
    tiles[{w.seq, w.q_tile}].push_back(w.kv_tile);
    EXPECT_EQ(w.kv_len, b.seq_lens[static_cast<size_t>(w.seq)]);
    EXPECT_LT(w.q_tile * r.tile, w.q_len * r.group);
  }
  for (size_t s = 0; s < b.seq_lens.size(); ++s) {
    int32_t q_len = b.query_start[s + 1] - b.query_start[s];
    AttentionPlanSeq need = attention_plan_seq(r, q_len, b.seq_lens[s]);
    num_tiles += need.tiles;
    int32_t chunks = attention_chunks(need.keys, plan.header.chunk);
    for (int32_t t = 0; t < need.tiles; ++t) {
      std::vector<int32_t>& found = tiles[{static_cast<int>(s), t}];
      std::sort(found.begin(), found.end());
      ASSERT_EQ(static_cast<int32_t>(found.size()), chunks);
      for (int32_t c = 0; c < chunks; ++c) EXPECT_EQ(found[static_cast<size_t>(c)], c);
      EXPECT_GE(int64_t{chunks} * plan.header.chunk, need.keys);
      EXPECT_LT(int64_t{chunks - 1} * plan.header.chunk, need.keys);
    }
    if (chunks > 1) split_rows += q_len * chunks;
  }
  for (const AttentionWork& w : plan.work) {
    AttentionPlanSeq need = attention_plan_seq(r, w.q_len, w.kv_len);
    int32_t chunks = attention_chunks(need.keys, plan.header.chunk);
    if (chunks == 1) continue;
    EXPECT_LE(w.partial_row + w.q_len * chunks, split_rows);
    EXPECT_LT(w.unit, plan.header.num_units);
    auto [it, fresh] = units.try_emplace(w.unit, w.seq, w.q_tile);
    EXPECT_EQ(it->second, std::make_pair(w.seq, w.q_tile));
  }
  EXPECT_EQ(plan.header.num_partial_rows, split_rows);
  EXPECT_LE(split_rows, attention_max_partial_rows(r, num_tiles));
  EXPECT_LE(plan.header.num_items, attention_max_items(r, num_tiles));
  EXPECT_LE(plan.header.num_units, attention_max_items(r, num_tiles));
}

TEST(AttentionPlan, CutsEveryBatchSoundly) {
  std::mt19937 rng(std::random_device{}());
  for (int trial = 0; trial < 300; ++trial) {
    AttentionPlanRules r;
    const int groups[] = {1, 2, 3, 4, 5, 7, 8, 16, 24, 40};
    r.group = groups[rng() % 10], r.slots = static_cast<int>(1 + rng() % 400);
    r.window = rng() % 3 == 0 ? static_cast<int>(1 + rng() % 3000) : 0;
    if (trial % 2 == 1) r.tile = rng() % 2 ? 64 : 128, r.min_rows = 17, r.max_rows = INT32_MAX, r.waves = false;
    Batch b;
    for (int s = static_cast<int>(1 + rng() % 300); s > 0; --s) {
      int32_t queries = static_cast<int32_t>(trial % 2 == 0 ? rng() % 3 : rng() % 400);
      b.add(1, queries, queries == 0 ? 0 : queries + static_cast<int32_t>(rng() % (rng() % 5 == 0 ? 100000 : 500)));
    }
    expect_sound(r, b);
  }
}

TEST(AttentionPlan, FillsTheDeviceAndNoMore) {
  struct Row {
    int seqs;
    int32_t length;
    int slots, min_items, max_items;
  };
  // 8 KV heads on 132 SMs with 3 blocks each: 49 slots.
  const Row rows[] = {
      {1, 1, 49, 1, 1},           {1, 64, 49, 1, 1},         {1, 128, 49, 2, 2},
      {1, 1024, 49, 16, 16},  // no smaller than 64 keys
      {1, 4096, 49, 43, 49},      {1, 131072, 49, 40, 49},   {8, 1024, 49, 40, 49},
      {8, 8192, 49, 40, 49},      {64, 128, 49, 64, 64},     {64, 4096, 49, 192, 256},
      {256, 128, 49, 256, 256},   {256, 1024, 49, 256, 452}, {1, 1024, 396, 16, 16},
      {1, 131072, 396, 330, 396},
  };
  for (const Row& row : rows) {
    Batch b;
    b.add(row.seqs, 1, row.length);
    AttentionPlanRules r;
    r.group = 4, r.slots = row.slots;
    AttentionPlan plan = plan_attention_ref(r, b.query_start, b.seq_lens);
    EXPECT_GE(plan.header.num_items, row.min_items) << row.seqs << " of " << row.length;
    EXPECT_LE(plan.header.num_items, row.max_items) << row.seqs << " of " << row.length;
    expect_sound(r, b);
  }
}

// One long sequence among many short ones must not be one block's work, and the short ones stay whole.
TEST(AttentionPlan, SplitsOnlyTheLongSequence) {
  Batch b;
  b.add(200, 1, 100).add(1, 1, 100000);
  AttentionPlanRules r;
  r.slots = 49;
  AttentionPlan plan = plan_attention_ref(r, b.query_start, b.seq_lens);
  EXPECT_LE(plan.header.chunk, 1000);
  EXPECT_EQ(plan.header.num_units, 1);
  expect_sound(r, b);
}

TEST(AttentionPlan, SequencesBelongToOnePlan) {
  AttentionPlanRules small, large;
  small.group = large.group = 4;
  large.min_rows = 17, large.max_rows = INT32_MAX, large.tile = 128;
  for (int32_t q = 0; q < 200; ++q) {
    int found = (attention_plan_seq(small, q, 300).tiles > 0) + (attention_plan_seq(large, q, 300).tiles > 0);
    EXPECT_EQ(found, q == 0 ? 0 : 1);
  }
  EXPECT_EQ(attention_plan_seq(small, 1, 0).tiles, 0);  // padding, and what no batch may hold
  EXPECT_EQ(attention_plan_seq(large, 100, 99).tiles, 0);
}

TEST(AttentionPlan, ChunksRise) {
  for (int k = 1; k < kAttentionChunks; ++k) EXPECT_GT(attention_chunk(k), attention_chunk(k - 1)) << k;
  EXPECT_EQ(attention_chunk(14), 512);
  EXPECT_EQ(attention_chunk(18), 1024);
}

}  // namespace
}  // namespace vllm
