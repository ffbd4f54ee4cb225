#include "engine/exec/cuda/host_rows.h"

#include <gtest/gtest.h>

namespace vllm::engine {
namespace {

TEST(HostRows, SampleLikeTheSamplerAndRememberTheirTokens) {
  SlotStart start{.slot = 3, .token_ids = {1, 2, 7}, .num_prompt_tokens = 2};
  start.sampling.temperature = 0;
  start.sampling.frequency_penalty = 1;
  start.sampling.logprobs = -1;
  start.sampling.prompt_logprobs = 1;
  HostRows rows(8);
  rows.start(start);
  const std::vector<float> logits = {0, 0, 0, 0, 0, 0, 1.5f, 2};
  std::vector<TokenId> tokens;
  for (int i = 0; i < 4; ++i) {
    std::vector<float> row = logits;
    HostRows::Sampled sampled = rows.sample(3, row, {});
    tokens.push_back(sampled.token);
    EXPECT_EQ(sampled.logprobs.size(), 9u);         // the token, then all
    EXPECT_GT(sampled.logprobs[1].logprob, -1.2f);  // of raw logits: the best is 7 each time
    EXPECT_EQ(sampled.logprobs[1].token, 7);
  }
  EXPECT_EQ(tokens, (std::vector<TokenId>{6, 7, 6, 0}));  // 7 was there once already; each use costs 1

  PositionLogprobs prompt = rows.prompt_logprobs(3, 0, logits);
  ASSERT_EQ(prompt.size(), 2u);
  EXPECT_EQ(prompt[0].token, 2);
  EXPECT_EQ(prompt[1].token, 7);
  rows.end(3);
  rows.end(3);
}

}  // namespace
}  // namespace vllm::engine
