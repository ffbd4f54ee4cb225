#include "engine/spec/ngram_drafter.h"

#include <gtest/gtest.h>

#include <random>

namespace vllm::engine {
namespace {
using Tokens = std::vector<TokenId>;

// Straight from the definition.
Tokens slow(const Tokens& t, const NgramOptions& options, int count) {
  const auto size = static_cast<int>(t.size());
  for (int n = std::min(options.max_length, size - 1); n >= options.min_length; --n) {
    for (int at = 0; at + n < size; ++at) {
      if (!std::equal(t.end() - n, t.end(), t.begin() + at)) continue;
      const int first = at + n, last = std::min(size, first + count);
      return {t.begin() + first, t.begin() + last};
    }
  }
  return {};
}

TEST(NgramDrafter, ProposesWhatFollowedTheFirstOccurrence) {
  EXPECT_EQ(ngram_proposal(Tokens{1, 2, 3, 4, 1, 2, 5, 1, 2}, {2, 4}, 3), (Tokens{3, 4, 1}));
  EXPECT_EQ(ngram_proposal(Tokens{1, 2, 3, 4, 9, 2, 3}, {2, 4}, 9), (Tokens{4, 9, 2, 3}));
  EXPECT_EQ(ngram_proposal(Tokens{1, 2, 3}, {2, 4}, 3), Tokens{});
  EXPECT_EQ(ngram_proposal(Tokens{7}, {1, 4}, 3), Tokens{});
  EXPECT_EQ(ngram_proposal(Tokens{1, 1, 1, 1}, {1, 3}, 3), Tokens{1});
  EXPECT_EQ(ngram_proposal(Tokens{1, 2, 1}, {1, 3}, 0), Tokens{});
}

TEST(NgramDrafter, EqualsTheDefinitionOnRandomTokens) {
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    Tokens tokens(random() % 40);
    for (TokenId& t : tokens) t = static_cast<TokenId>(random() % 3);
    NgramOptions options{.min_length = 1 + static_cast<int>(random() % 3)};
    options.max_length = options.min_length + static_cast<int>(random() % 4);
    const int count = static_cast<int>(random() % 6);
    if (count == 0) continue;
    ASSERT_EQ(ngram_proposal(tokens, options, count), slow(tokens, options, count)) << "round " << round;
  }
}

}  // namespace
}  // namespace vllm::engine
