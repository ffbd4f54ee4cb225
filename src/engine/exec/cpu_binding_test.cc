#include "engine/exec/cpu_binding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vllm::engine {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(CpuBinding, ReadsVllmsLists) {
  EXPECT_THAT(parse_cpu_list("0-2,5").value(), ElementsAre(0, 1, 2, 5));
  EXPECT_THAT(parse_cpu_list("3|4-5").value(), ElementsAre(3));
  EXPECT_THAT(parse_cpu_list("auto").value(), IsEmpty());
  for (const char* bad : {"a", "1-", "3-1", "1,,2", "-1", "0-99999999999", "1,"}) {
    auto refused = parse_cpu_list(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_THAT(refused.error().message, testing::HasSubstr("VLLM_CPU_OMP_THREADS_BIND"));
  }
}

TEST(CpuBinding, StepsGrowWithTheThreads) {
  EXPECT_EQ(num_compute_threads(3, {0, 1}), 3);
  EXPECT_EQ(num_compute_threads(0, {0, 1}), 2);
  EXPECT_GE(num_compute_threads(0, {}), 1);
  EXPECT_EQ(default_step_tokens(1), 256);
  EXPECT_EQ(default_step_tokens(2), 256);
  EXPECT_EQ(default_step_tokens(8), 1024);
  EXPECT_EQ(default_step_tokens(64), 2048);
}

}  // namespace
}  // namespace vllm::engine
