#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "text/tokenizer/testing/vectors.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

class Streams : public ::testing::TestWithParam<std::string> {};

// Random ids: pieces are whole characters, and joined they are decode()'s text.
TEST_P(Streams, PiecesJoinedEqualDecode) {
  const auto tokenizer = testing::golden_tokenizer(GetParam());
  std::mt19937 random(5);
  for (int round = 0; round < 2000; ++round) {
    std::vector<TokenId> ids(random() % 40);
    for (TokenId& id : ids)
      id = static_cast<TokenId>(random() % static_cast<uint32_t>(tokenizer->vocab_size() + 3)) - 1;
    const bool skip = round % 2 == 0;
    Detokenizer stream(tokenizer, {.skip_special_tokens = skip});
    std::string joined;
    for (const TokenId id : ids) {
      const std::string piece = stream.add(id);
      ASSERT_TRUE(is_utf8(piece));
      joined += piece;
    }
    joined += stream.finish();
    ASSERT_EQ(joined, tokenizer->decode(ids, skip));
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Streams, ::testing::ValuesIn(testing::golden_families()),
                         [](const auto& info) { return info.param; });

TEST(Detokenizer, HoldsBackHalfACharacter) {
  const auto tokenizer = testing::golden_tokenizer("gpt2");
  const auto ids = *tokenizer->encode("\xF0\x9F\xA7\xBF");  // a character that is no token
  ASSERT_GT(ids.size(), 1u);
  Detokenizer stream(tokenizer, {});
  std::string joined;
  for (size_t i = 0; i + 1 < ids.size(); ++i) EXPECT_EQ(stream.add(ids[i]), "");
  EXPECT_EQ(stream.add(ids.back()), "\xF0\x9F\xA7\xBF");
  EXPECT_EQ(stream.finish(), "");
}

TEST(Detokenizer, AnUnfinishedCharacterEndsAsOneReplacement) {
  const auto tokenizer = testing::golden_tokenizer("gpt2");
  auto ids = *tokenizer->encode("\xF0\x9F\xA7\xBF");
  ids.pop_back();
  Detokenizer stream(tokenizer, {});
  for (const TokenId id : ids) EXPECT_EQ(stream.add(id), "");
  EXPECT_EQ(stream.finish(), kReplacement);
  EXPECT_EQ(stream.finish(), "");
}

TEST(Detokenizer, SentencePieceBlankIsKeptAfterAPrompt) {
  const auto tokenizer = testing::golden_tokenizer("llama2");
  const auto word = *tokenizer->encode("the", {.add_special_tokens = false});
  const auto first = [&](const std::vector<TokenId>& prompt) {
    Detokenizer stream(tokenizer, {}, prompt);
    std::string out;
    for (const TokenId id : word) out += stream.add(id);
    return out;
  };
  EXPECT_EQ(first({}), "the");
  EXPECT_EQ(first({1}), "the");  // a special token writes no text: still the start
  EXPECT_EQ(first(word), " the");
}

TEST(Detokenizer, GoesOnWithACharacterThatThePromptBegan) {
  const auto tokenizer = testing::golden_tokenizer("gpt2");
  const auto ids = *tokenizer->encode("\xF0\x9F\xA7\xBF");
  Detokenizer stream(tokenizer, {}, {ids.begin(), ids.end() - 1});
  EXPECT_EQ(stream.add(ids.back()), "\xF0\x9F\xA7\xBF");
}

TEST(Utf8, RepairsAsPythonDoes) {
  const std::pair<std::string, std::string> cases[] = {
      {"a\x80", "a\uFFFD"},
      {"\xE4\xB8", "\uFFFD"},
      {"\xE4\xB8x", "\uFFFDx"},
      {"\xF0\x9F\x98", "\uFFFD"},
      {"\xF0\x9F\xFF", "\uFFFD\uFFFD"},
      {"\xC0\xAF", "\uFFFD\uFFFD"},
      {"\xE0\x80\xAF", "\uFFFD\uFFFD\uFFFD"},
      {"\xED\xA0\x80", "\uFFFD\uFFFD\uFFFD"},
      {"\xF4\x90\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
      {"\xF0\x90\x28\xBC", "\uFFFD(\uFFFD"},
      {"plain", "plain"},
      {"12345678\xFF"
       "12345678",
       "12345678\uFFFD"
       "12345678"},
  };
  for (const auto& [bytes, text] : cases) EXPECT_EQ(repair_utf8(bytes), text);
}

}  // namespace
}  // namespace vllm::text
