#include "engine/sample/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "engine/sample/philox.h"

namespace vllm::engine {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

// Upper 1e-6 quantile of chi-square, by the Wilson-Hilferty approximation.
double chi_square_limit(int degrees) {
  double k = degrees, z = 4.753;
  return k * std::pow(1 - 2 / (9 * k) + z * std::sqrt(2 / (9 * k)), 3);
}

std::vector<float> some_logits(int vocab) {
  std::vector<float> logits(static_cast<size_t>(vocab));
  for (int i = 0; i < vocab; ++i) logits[static_cast<size_t>(i)] = 3 * std::sin(static_cast<float>(i) * 12.9898f);
  return logits;
}

// Draw `draws` tokens and compare them with the probabilities expected.
void expect_distribution(const std::vector<float>& logits, const SamplingParams& params,
                         const std::map<TokenId, double>& expected) {
  SamplerScratch scratch(static_cast<int>(logits.size()));
  const int draws = 60000;
  std::map<TokenId, int> counts;
  for (int i = 0; i < draws; ++i) ++counts[sample_token(logits, params, i, scratch)];
  double chi = 0;
  int cells = 0;
  for (auto [token, p] : expected) {
    double e = p * draws, d = counts[token] - e;
    chi += d * d / e;
    ++cells;
  }
  for (auto [token, n] : counts)
    EXPECT_TRUE(expected.count(token)) << "token " << token << " was drawn " << n << " times";
  EXPECT_LT(chi, chi_square_limit(cells - 1)) << cells << " cells";
}

std::map<TokenId, double> softmax_over(const std::vector<float>& logits, const std::set<TokenId>& kept,
                                       double temperature) {
  std::map<TokenId, double> p;
  double total = 0;
  for (TokenId t : kept) total += p[t] = std::exp(static_cast<double>(logits[static_cast<size_t>(t)]) / temperature);
  for (auto& [t, v] : p) v /= total;
  return p;
}

std::vector<TokenId> by_likelihood(const std::vector<float>& logits) {
  std::vector<TokenId> order(logits.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<TokenId>(i);
  std::sort(order.begin(), order.end(),
            [&](TokenId a, TokenId b) { return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)]; });
  return order;
}

TEST(Philox, MatchesTheKnownAnswersOfRandom123) {
  std::array<uint32_t, 4> zero = philox4x32({0, 0, 0, 0}, 0);
  EXPECT_EQ(zero, (std::array<uint32_t, 4>{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}));
  std::array<uint32_t, 4> ones = philox4x32({~0u, ~0u, ~0u, ~0u}, ~uint64_t{0});
  EXPECT_EQ(ones, (std::array<uint32_t, 4>{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}));
}

TEST(SampleToken, DrawsFromTheSoftmax) {
  auto logits = some_logits(40);
  std::set<TokenId> all;
  for (TokenId t = 0; t < 40; ++t) all.insert(t);
  for (float temperature : {0.7f, 1.0f, 1.6f}) {
    SamplingParams params{.temperature = temperature, .seed = 7};
    expect_distribution(logits, params, softmax_over(logits, all, temperature));
  }
}

TEST(SampleToken, TopKKeepsTheKBest) {
  auto logits = some_logits(40);
  auto order = by_likelihood(logits);
  SamplingParams params{.temperature = 0.8f, .top_k = 5, .seed = 11};
  expect_distribution(logits, params, softmax_over(logits, {order.begin(), order.begin() + 5}, 0.8));
}

TEST(SampleToken, TopPKeepsTheShortestRunThatReachesP) {
  auto logits = some_logits(300);
  auto order = by_likelihood(logits);
  for (float top_p : {0.05f, 0.5f, 0.9f, 0.999f}) {
    std::set<TokenId> all(order.begin(), order.end()), kept;
    auto p = softmax_over(logits, all, 1.0);
    double sum = 0;
    for (TokenId t : order) {
      if (sum >= static_cast<double>(top_p)) break;
      sum += p[t];
      kept.insert(t);
    }
    SamplingParams params{.temperature = 1.0f, .top_p = top_p, .seed = 3};
    expect_distribution(logits, params, softmax_over(logits, kept, 1.0));
  }
}

TEST(SampleToken, MinPKeepsWhatIsLikelyEnough) {
  auto logits = some_logits(40);
  auto order = by_likelihood(logits);
  std::set<TokenId> kept;
  for (TokenId t : order) {
    if (logits[static_cast<size_t>(t)] >= logits[static_cast<size_t>(order[0])] + std::log(0.3f)) kept.insert(t);
  }
  SamplingParams params{.temperature = 1.0f, .min_p = 0.3f, .seed = 5};
  expect_distribution(logits, params, softmax_over(logits, kept, 1.0));
}

TEST(SampleToken, ASeedGivesTheSameTokensAndAnotherSeedOthers) {
  auto logits = some_logits(1000);
  SamplerScratch scratch(1000);
  int equal = 0;
  for (int position = 0; position < 100; ++position) {
    TokenId a = sample_token(logits, {.temperature = 1.5f, .seed = 1}, position, scratch);
    EXPECT_EQ(a, sample_token(logits, {.temperature = 1.5f, .seed = 1}, position, scratch));
    equal += a == sample_token(logits, {.temperature = 1.5f, .seed = 2}, position, scratch);
  }
  EXPECT_LT(equal, 20);
}

TEST(SampleToken, SurvivesNanAndInfinity) {
  SamplerScratch scratch(4);
  float nan = std::nanf("");
  EXPECT_EQ(sample_token(std::vector<float>{nan, 1, nan, 0}, {.temperature = 0}, 0, scratch), 1);
  EXPECT_EQ(sample_token(std::vector<float>{nan, nan, nan, nan}, {.temperature = 1}, 0, scratch), 0);
  EXPECT_EQ(sample_token(std::vector<float>{-kInf, -kInf, 2, -kInf}, {.temperature = 1}, 0, scratch), 2);
  EXPECT_EQ(sample_token(std::vector<float>{0, kInf, 2, 0}, {.temperature = 1}, 0, scratch), 1);
}

TEST(SamplingState, AppliesPenaltiesOnPromptAndOutput) {
  SamplingParams params{.presence_penalty = 0.5f, .frequency_penalty = 0.25f, .repetition_penalty = 2.0f};
  std::vector<TokenId> tokens{1, 2, 3, 3};  // prompt 1 2, output 3 3
  SamplingState state(params, tokens, 2, 6);
  std::vector<float> logits{4, 4, -4, 4, 4, 4};
  state.adjust_logits(logits, tokens, 2, {});
  EXPECT_EQ(logits, (std::vector<float>{4, 2, -8, 2 - 0.5f - 0.5f, 4, 4}));
}

TEST(SamplingState, MasksWhatMustNotComeNext) {
  SamplingParams params;
  params.min_tokens = 2;
  params.eos_token_ids = {0};
  params.stop_token_ids = {5};
  params.bad_words = {{2}, {9, 3}, {8, 4}};
  params.logit_bias = {{1, 7.0f}};
  std::vector<TokenId> tokens{8, 9};  // prompt 8, output 9
  SamplingState state(params, tokens, 1, 10);
  std::vector<float> logits(10, 1.0f);
  state.adjust_logits(logits, tokens, 1, {});
  EXPECT_EQ(logits, (std::vector<float>{-kInf, 8, -kInf, -kInf, 1, -kInf, 1, 1, 1, 1}));  // {8, 4}: 8 is of the prompt

  SamplingParams allowed;
  allowed.allowed_token_ids = {7, 3};
  std::vector<float> row(10, 1.0f);
  const uint32_t grammar = 0b1000'1000'10;
  SamplingState(allowed, tokens, 1, 10).adjust_logits(row, tokens, 1, {&grammar, 1});
  for (size_t i = 0; i < row.size(); ++i) EXPECT_EQ(row[i] == 1.0f, (grammar >> i & 1u) && (i == 3 || i == 7)) << i;
}

TEST(RowLogprobs, AreTheLogSoftmaxWithRanks) {
  SamplerScratch scratch(4);
  std::vector<float> logits{0, 2, 1, 2};
  std::vector<TokenId> extra{0};
  PositionLogprobs out = row_logprobs(logits, 2, 2, extra, scratch);
  double total = std::log(1 + std::exp(1.0) + 2 * std::exp(2.0));
  ASSERT_EQ(out.size(), 4u);
  EXPECT_EQ(out[0].token, 2);
  EXPECT_EQ(out[0].rank, 3);
  EXPECT_NEAR(out[0].logprob, 1 - total, 1e-6);
  EXPECT_EQ(out[1].token, 1);
  EXPECT_EQ(out[2].token, 3);
  EXPECT_EQ(out[3].token, 0);
  EXPECT_EQ(out[3].rank, 4);
  EXPECT_EQ(row_logprobs(logits, 0, -1, {}, scratch).size(), 5u);
}

}  // namespace
}  // namespace vllm::engine
