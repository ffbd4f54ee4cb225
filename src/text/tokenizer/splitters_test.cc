// The hand-written split rules against PCRE2 running the same patterns.
#include "text/tokenizer/splitters.h"

#include <gtest/gtest.h>

#include <cctype>
#include <random>

#include "text/tokenizer/regex.h"
#include "text/tokenizer/testing/split_oracle.h"
#include "text/tokenizer/testing/vectors.h"
#include "text/tokenizer/utf8.h"

namespace vllm::text {
namespace {

std::vector<uint32_t> split_by_hand(const KnownSplit& known, std::string_view text) {
  std::vector<uint32_t> ends;
  known.split_all(text, 0, ends);
  return ends;
}

class Splitters : public ::testing::TestWithParam<KnownSplit> {
 protected:
  const KnownSplit& known_ = GetParam();
  const testing::SplitOracle oracle_{GetParam()};
};

TEST_P(Splitters, AgreeOnTheCorpus) {
  for (const auto& entry : testing::read_corpus(testing::read_json(testing::kGoldens / "corpus.json"))) {
    EXPECT_EQ(split_by_hand(known_, entry.text), oracle_.split(entry.text)) << entry.name;
  }
}

TEST_P(Splitters, AgreeOnRandomText) {
  const std::vector<std::string> units = {"a",
                                          "\x01",
                                          "/",
                                          "\xE3\x81\x82",
                                          "\xC7\x85",
                                          "BC",
                                          "Z",
                                          "s",
                                          "'",
                                          "'s",
                                          "'LL",
                                          "\xC5\xBF",
                                          "re",
                                          "1",
                                          "23",
                                          "\xC2\xBD",
                                          " ",
                                          "  ",
                                          "\t",
                                          "\n",
                                          "\r",
                                          "\xC2\xA0",
                                          "\xE3\x80\x80",
                                          "\xE1\xA0\x8E",
                                          ".",
                                          "-",
                                          "\xE4\xB8\xAD",
                                          "\xE4\xBD\xBD",
                                          "\xE2\x80\x83",
                                          "\xE2\x80\x98",
                                          "\xC2\xB2",
                                          "\xD9\xA2",
                                          "\xC3\xA9",
                                          "\xE1\x82\xA0",
                                          "\xEF\xBC\xA1",
                                          "\xEF\xBC\x8C",
                                          "$",
                                          "\xCC\x81",
                                          "\xF0\x9F\x98\x80",
                                          "\xE2\x80\x8D",
                                          "\xEF\xBF\xBD"};
  std::mt19937 random(3);
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (uint32_t n = 1 + random() % 12; n > 0; --n) text += units[random() % units.size()];
    ASSERT_EQ(split_by_hand(known_, text), oracle_.split(text)) << text;
  }
}

// Every character alone and between others. utf8proc and PCRE2 may know different Unicode versions: characters that one
// of the two calls unassigned are counted, not compared.
TEST_P(Splitters, AgreeOnEveryCharacter) {
  const Regex unassigned = *Regex::compile("\\p{Cn}");
  int skipped = 0, different = 0;
  // The planes above U+30000 are nearly uniform: samples do.
  for (char32_t code = 1; code < 0x110000; code += code < 0x34000 ? 1 : 61) {
    if (code >= 0xD800 && code < 0xE000) continue;
    std::string text = "a ";
    append_char(text, code);
    append_char(text, code);
    text += "1 'x";
    if (split_by_hand(known_, text) == oracle_.split(text)) continue;
    std::vector<RegexMatch> matches;
    ASSERT_TRUE(unassigned.find_all(text, matches));
    matches.empty() ? ++different : ++skipped;
  }
  EXPECT_EQ(different, 0);
  EXPECT_LT(skipped, 6000);
  RecordProperty("skipped", skipped);
}

INSTANTIATE_TEST_SUITE_P(Known, Splitters, ::testing::ValuesIn(known_splits()), [](const auto& info) {
  std::string name(info.param.name);
  std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
  return name;
});

// A call that stops in the middle and is continued gives the same words as one that does not.
TEST_P(Splitters, GoOnWhereTheyStopped) {
  for (const auto& entry : testing::read_corpus(testing::read_json(testing::kGoldens / "corpus.json"))) {
    if (entry.text.size() > 20000) continue;
    std::vector<uint32_t> ends;
    for (size_t pos = 0; pos < entry.text.size(); pos = ends.back()) {
      uint32_t one;
      ASSERT_EQ(known_.split(entry.text, pos, std::span(&one, 1)), 1u);
      ends.push_back(one);
    }
    EXPECT_EQ(split_by_hand(known_, entry.text), ends) << entry.name;
  }
}

TEST(KnownSplits, AreFoundByTheExactPatternOnly) {
  EXPECT_EQ(find_known_split(kQwen2Pattern)->name, "qwen2");
  constexpr std::string_view kOfJson[] = {
      "[\r\n]", R"(\s?\p{L}+)", R"(\s?\p{P}+)",
      "[\xE4\xB8\x80-\xE9\xBE\xA5\xE0\xA0\x80-\xE4\xB8\x80\xEA\xB0\x80-\xED\x9F\xBF]+", R"(\p{N})"};
  EXPECT_EQ(find_known_split(kOfJson)->name, "deepseek-coder");
  EXPECT_EQ(find_known_split("\\p{N}"), nullptr);
  EXPECT_EQ(find_known_split(R"([^\s]+)"), nullptr);
}

TEST(Regex, RefusesWhatItWouldMisread) {
  EXPECT_FALSE(Regex::compile("[\\p{L}&&[^a]]"));
  EXPECT_FALSE(Regex::compile("[a[bc]]"));
  EXPECT_FALSE(Regex::compile("(unclosed"));
  EXPECT_FALSE(Regex::compile(std::string(100000, 'a')));
  EXPECT_NE(Regex::compile("(").error().message.find("bad regular expression"), std::string::npos);
}

TEST(Regex, GivesUpInsteadOfHanging) {
  const Regex evil = *Regex::compile("(a+)+$");
  std::vector<RegexMatch> matches;
  const Status status = evil.find_all(std::string(40, 'a') + "!", matches);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::kInvalidArgument);
}

TEST(Regex, CutsAtEmptyMatchesAsOnigurumaDoes) {
  const Regex empty = *Regex::compile("x*");
  std::vector<RegexMatch> matches;
  ASSERT_TRUE(empty.find_all("axxb", matches));
  std::vector<std::pair<uint32_t, uint32_t>> is;
  for (const auto& m : matches) is.emplace_back(m.begin, m.end);
  EXPECT_EQ(is, (std::vector<std::pair<uint32_t, uint32_t>>{{0, 0}, {1, 3}, {4, 4}}));
}

TEST(Regex, ReadsWhiteSpaceAsOnigurumaDoes) {
  const Regex space = *Regex::compile("\\s");
  std::vector<RegexMatch> matches;
  ASSERT_TRUE(space.find_all("\xE1\xA0\x8E", matches));  // U+180E is no White_Space
  EXPECT_TRUE(matches.empty());
  ASSERT_TRUE(space.find_all("\xC2\x85\xE3\x80\x80", matches));
  EXPECT_EQ(matches.size(), 2u);
}

}  // namespace
}  // namespace vllm::text
