#include "profile/summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "profile/kernel_names.h"

namespace vllm::profile {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Phase launch(int64_t step, int num_seqs, int num_tokens) {
  return {.name = "launch",
          .begin_ns = step,
          .end_ns = step + 1,
          .step = step,
          .num_seqs = num_seqs,
          .num_tokens = num_tokens};
}
GpuActivity kernel(int64_t step, uint32_t name, int64_t begin_us, int64_t end_us) {
  return {.name = name, .begin_ns = begin_us * 1000, .end_ns = end_us * 1000, .step = step};
}

TEST(Summary, GapsAreThoseBetweenTwoDecodeSteps) {
  const PhaseLog log{
      .phases = {launch(1, 2, 2), launch(2, 2, 2), launch(3, 2, 9), launch(4, 3, 3), launch(5, 3, 3), launch(7, 3, 3)}};
  // Records come in any order. Step 2's first kernel starts before step 1's last has ended.
  const GpuTrace gpu{
      .activities = {kernel(2, 0, 19, 30), kernel(1, 0, 0, 10), kernel(1, 1, 12, 20), kernel(3, 1, 100, 200),
                     kernel(4, 0, 201, 210), kernel(5, 0, 217, 220), kernel(7, 0, 300, 310)},
      .names = {"a", "b"}};
  const Summary s = summarize(log, gpu);
  EXPECT_THAT(s.idle_ns, ElementsAre(0, 7000));  // 1 to 2, 4 to 5; neither around step 3 nor over the missing step 6
  EXPECT_THAT(s.period_ns, ElementsAre(testing::Pair(2, ElementsAre(19'000)), testing::Pair(3, ElementsAre(16'000))));
  EXPECT_EQ(s.decode.num_steps, 5);
  EXPECT_EQ(s.decode.num_seqs, 13);
  EXPECT_EQ(s.decode.span_ns, 20'000 + 11'000 + 9'000 + 3'000 + 10'000);
  EXPECT_EQ(s.decode.busy_ns, s.decode.span_ns - 2'000);
  EXPECT_EQ(s.other.num_steps, 1);
  EXPECT_EQ(s.other.num_tokens, 9);
}

TEST(Summary, KernelsAreSummedByNameLongestFirst) {
  const PhaseLog log{.phases = {launch(1, 1, 1), launch(2, 1, 1)}};
  const GpuTrace gpu{
      .activities = {kernel(1, 0, 0, 1),
                     kernel(1, 1, 1, 11),
                     kernel(2, 0, 12, 14),
                     kernel(2, 1, 14, 15),
                     kernel(-1, 0, 50, 90),
                     {.kind = GpuActivity::Kind::kApi, .name = 0, .begin_ns = 0, .end_ns = 99, .step = 1}},
      .names = {"a", "b"}};
  const Summary s = summarize(log, gpu);
  ASSERT_EQ(s.decode.kernels.size(), 2u);
  EXPECT_EQ(s.decode.kernels[0].name, "b");
  EXPECT_EQ(s.decode.kernels[0].total_ns, 11'000);
  EXPECT_EQ(s.decode.kernels[1].count, 2);
  EXPECT_EQ(s.decode.kernels[1].total_ns, 3'000);
  EXPECT_THAT(to_text(s, 1), HasSubstr("in 1 other kernels"));
  EXPECT_THAT(to_text(s, 1), HasSubstr("p99 1.00 us"));
}

TEST(Summary, WithoutAGpuThereArePhases) {
  PhaseLog log{.phases = {launch(1, 1, 1), launch(2, 1, 1)}};
  log.phases[1].end_ns = 10'002;
  const Summary s = summarize(log, {});
  EXPECT_EQ(s.decode.num_steps, 0);
  EXPECT_TRUE(s.idle_ns.empty());
  ASSERT_EQ(s.phases.size(), 1u);
  EXPECT_EQ(s.phases[0].count, 2);
  EXPECT_EQ(s.phases[0].longest_ns, 10'000);
  EXPECT_THAT(to_text(s, 5), testing::AllOf(HasSubstr("launch 5.0 / 10.0 (2)"), testing::Not(HasSubstr("idle"))));
  EXPECT_FALSE(to_json(s).contains("gpu_idle_us"));
}

TEST(Summary, PercentilesAreRanks) {
  std::vector<int64_t> values(200);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<int64_t>(i) + 1;
  EXPECT_EQ(percentile_of(values, 50), 100);
  EXPECT_EQ(percentile_of(values, 99), 198);
  EXPECT_EQ(percentile_of(values, 100), 200);
  EXPECT_EQ(percentile_of({5}, 0), 5);
  EXPECT_EQ(percentile_of({}, 99), 0);
}

TEST(KernelNames, AreShortened) {
  EXPECT_EQ(short_kernel_name(
                "void vllm::(anonymous namespace)::norm_kernel<__nv_bfloat16, (int)4, (bool)1>(vllm::Params)", 80),
            "norm_kernel<bf16, 4, true>");
  EXPECT_EQ(short_kernel_name("void f<void (*)(int)>(int)", 80), "f<void (*)(int)>");
  EXPECT_EQ(short_kernel_name("nvjet_tst_64x8", 8), "nvjet_..");
  EXPECT_EQ(demangled("_ZN4vllm1fEi"), "vllm::f(int)");
  EXPECT_EQ(demangled("nvjet"), "nvjet");
  EXPECT_EQ(demangled(nullptr), "?");
}

}  // namespace
}  // namespace vllm::profile
