#include "engine/step.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/testing/step_samples.h"

namespace vllm::engine {
namespace {

// A value and its decoded twin are equal if they encode to the same bytes: every field takes part in them.
TEST(StepCodec, RoundTripsEveryValue) {  // INV-13
  for (const StepInput& v : {StepInput{}, testing::sample_step_input()}) {
    auto back = decode_step_input(encode(v));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(encode(*back), encode(v));
  }
  for (const SampleInput& v : {SampleInput{}, testing::sample_sample_input()}) {
    auto back = decode_sample_input(encode(v));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(encode(*back), encode(v));
  }
  for (const StepResult& v : {StepResult{}, testing::sample_step_result()}) {
    auto back = decode_step_result(encode(v));
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(encode(*back), encode(v));
  }
}

TEST(StepCodec, KeepsFieldsInTheirPlaces) {
  StepInput v = decode_step_input(encode(testing::sample_step_input())).value();
  EXPECT_EQ(v.step, 0x1122334455667788u);
  EXPECT_EQ(v.ended, (std::vector<SlotId>{3, 1}));
  ASSERT_EQ(v.starts.size(), 2u);
  const SlotStart& s = v.starts[0];
  EXPECT_EQ(s.token_ids, (std::vector<TokenId>{1, 2, 3}));
  EXPECT_EQ(s.num_prompt_tokens, 2);
  EXPECT_EQ(s.num_computed_tokens, 1);
  EXPECT_EQ(s.sampling.seed, ~0ull);
  EXPECT_EQ(s.sampling.max_tokens, 7);
  EXPECT_TRUE(s.sampling.ignore_eos);
  EXPECT_EQ(s.sampling.bad_words, (std::vector<std::vector<TokenId>>{{1}, {}, {2, 3}}));
  EXPECT_EQ(s.sampling.logit_bias, (std::vector<std::pair<TokenId, float>>{{5, -100.f}}));
  EXPECT_EQ(s.sampling.logprobs, 0);
  EXPECT_EQ(s.sampling.prompt_logprobs, std::nullopt);
  EXPECT_EQ(v.block_deltas.at(0).first_index, 4);
  EXPECT_TRUE(v.work.at(0).samples);
  EXPECT_FALSE(v.work.at(0).prompt_logprobs);
  StepResult r = decode_step_result(encode(testing::sample_step_result())).value();
  EXPECT_TRUE(std::isinf(r.slots.at(0).logprobs.at(0).at(1).logprob));
  EXPECT_EQ(r.error, "worker 1: lost");
}

// The first bytes are written down so that a change of the form cannot pass unseen.
TEST(StepCodec, FormIsLittleEndianWithVersionFirst) {
  std::string bytes = encode(SampleInput{.step = 0x0102, .masks = {}});
  EXPECT_EQ(bytes, std::string("\x03\x00\x02\x00\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 16));
}

TEST(StepCodec, RefusesEveryCutAndEveryTail) {
  std::string input = encode(testing::sample_step_input()), result = encode(testing::sample_step_result());
  for (size_t n = 0; n < input.size(); ++n) EXPECT_FALSE(decode_step_input(input.substr(0, n))) << n;
  for (size_t n = 0; n < result.size(); ++n) EXPECT_FALSE(decode_step_result(result.substr(0, n))) << n;
  EXPECT_FALSE(decode_step_input(input + '\0'));
  EXPECT_FALSE(decode_step_result(result + "x"));
}

TEST(StepCodec, RefusesOtherVersionsAndKinds) {
  std::string bytes = encode(SampleInput{});
  EXPECT_FALSE(decode_step_input(bytes));
  EXPECT_FALSE(decode_step_result(bytes));
  bytes[0] = 1;
  auto refused = decode_sample_input(bytes);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "SampleInput: byte form version 1, this build reads 3");
}

TEST(StepCodec, AbsurdCountsCostNoMemory) {  // INV-13
  std::string bytes = encode(SampleInput{});
  for (size_t at : {bytes.size() - 4}) {
    std::string lie = bytes;
    lie.replace(at, 4, "\xff\xff\xff\xff");
    auto refused = decode_sample_input(lie);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("count larger than the input"), std::string::npos);
  }
}

TEST(StepCodec, RefusesBoolsThatAreNeither) {
  StepInput v;
  v.work.push_back({.slot = 1, .num_tokens = 2, .samples = true, .prompt_logprobs = false});
  std::string bytes = encode(v);
  bytes.back() = 2;
  EXPECT_FALSE(decode_step_input(bytes));
}

}  // namespace
}  // namespace vllm::engine
