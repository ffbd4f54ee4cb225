#include "engine/exec/cuda/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vllm::engine {
namespace {

using testing::HasSubstr;
constexpr size_t kGiB = size_t{1} << 30;

// 100 GiB, of which 60 are in use; a page holds 16 tokens and has 1 MiB.
MemoryPlanInput plenty() {
  return {.total_bytes = 100 * kGiB,
          .free_bytes = 40 * kGiB,
          .utilization = 0.9,
          .bytes_per_block = 1 << 20,
          .max_model_len = 40960,
          .max_num_seqs = 256};
}

TEST(MemoryPlan, GivesWhatUtilizationLeaves) {
  MemoryPlan plan = plan_memory(plenty()).value();
  EXPECT_NEAR(static_cast<double>(plan.num_blocks), 30 * 1024, 1);
  EXPECT_EQ(plan.max_model_len, 40960);

  MemoryPlanInput in = plenty();
  in.kv_bytes = 4 * kGiB;
  EXPECT_EQ(plan_memory(in)->num_blocks, 4096);
  in.num_blocks = 3001;
  EXPECT_EQ(plan_memory(in)->num_blocks, 3001);
  in = plenty();
  in.bytes_per_block = 64;  // a toy model: no more blocks than anybody can use
  EXPECT_EQ(plan_memory(in)->num_blocks, 1 << 20);
}

TEST(MemoryPlan, NamesTheContextThatFits) {
  MemoryPlanInput in = plenty();
  in.kv_bytes = kGiB;  // 1023 pages
  auto refused = plan_memory(in);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kResourceExhausted);
  EXPECT_THAT(refused.error().message,
              testing::AllOf(HasSubstr("Out of memory"), HasSubstr("--max-model-len to at most 16368"),
                             HasSubstr("--kv-cache-memory-bytes")));
  in.fit_max_model_len = true;
  EXPECT_EQ(plan_memory(in)->max_model_len, 16368);
  in.fit_max_model_len = false, in.max_model_len = 16368;
  EXPECT_TRUE(plan_memory(in));

  in.max_model_len = 40960, in.sliding_windows = {0, 1024, 1024};  // 65 pages for each window
  EXPECT_THAT(plan_memory(in).error().message, HasSubstr("--max-model-len to at most 14288"));
}

TEST(MemoryPlan, RefusesMoreThanThereIs) {
  MemoryPlanInput in = plenty();
  in.free_bytes = 5 * kGiB;  // 95% are in use: nothing is left
  auto refused = plan_memory(in);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message,
              testing::AllOf(HasSubstr("Out of memory"), HasSubstr("raise --gpu-memory-utilization (now 0.90)")));
  EXPECT_THAT(refused.error().message, testing::Not(HasSubstr("at most")));
  in.kv_bytes = 6 * kGiB;
  EXPECT_THAT(plan_memory(in).error().message, HasSubstr("lower --kv-cache-memory-bytes"));
  in.kv_bytes = 0, in.num_blocks = 1 << 20;
  EXPECT_THAT(plan_memory(in).error().message, HasSubstr("lower --num-gpu-blocks-override"));
}

TEST(MemoryPlan, TakesVllmsBatchLimits) {
  EXPECT_EQ(default_batch_limits(140 * kGiB).max_num_batched_tokens, 8192);
  EXPECT_EQ(default_batch_limits(140 * kGiB).max_num_seqs, 1024);
  EXPECT_EQ(default_batch_limits(180 * kGiB).max_num_batched_tokens, 16384);
  EXPECT_EQ(default_batch_limits(24 * kGiB).max_num_seqs, 256);
}

}  // namespace
}  // namespace vllm::engine
