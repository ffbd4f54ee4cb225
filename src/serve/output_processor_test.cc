// Stop strings across tokens, held-back text and whole characters; every split of a text gives the same answer.
#include "serve/output_processor.h"

#include <gtest/gtest.h>

#include "serve/testing/fakes.h"

namespace vllm::serve {
namespace {

using testing::FakeTokenizer;

std::vector<TokenId> bytes(std::string_view text) {
  std::vector<TokenId> out;
  for (char c : text) out.push_back(FakeTokenizer::kByteBase + static_cast<uint8_t>(c));
  return out;
}

struct Outcome {
  std::string text;
  std::vector<std::string> deltas;
  size_t num_tokens = 0;
  std::optional<FinishReason> finish;
  api::StopReason reason;
};

// Feed `text` in groups of `group` one-byte tokens, the last with kLength.
Outcome run(std::string_view text, OutputOptions options, size_t group, FinishReason end = FinishReason::kLength) {
  OutputProcessor processor(std::make_shared<FakeTokenizer>(), std::move(options));
  Outcome out;
  const std::vector<TokenId> tokens = bytes(text);
  for (size_t i = 0; i < tokens.size() && !out.finish; i += group) {
    EngineOutput output;
    output.new_token_ids.assign(tokens.begin() + static_cast<long>(i),
                                tokens.begin() + static_cast<long>(std::min(i + group, tokens.size())));
    output.logprobs.resize(output.new_token_ids.size());
    if (i + group >= tokens.size()) output.finish_reason = end;
    OutputDelta delta;
    processor.process(std::move(output), delta);
    EXPECT_EQ(delta.logprobs.size(), delta.token_ids.size());
    out.text += delta.text, out.deltas.push_back(delta.text), out.num_tokens += delta.token_ids.size();
    out.finish = delta.finish_reason, out.reason = delta.stop_reason;
  }
  return out;
}

TEST(OutputProcessor, StopStringsAtEverySplit) {
  for (size_t group = 1; group <= 12; ++group) {
    Outcome out = run("abc STOP def", {.stop = {"STOP"}}, group);
    EXPECT_EQ(out.text, "abc ") << group;
    EXPECT_EQ(out.num_tokens, 8u) << group;  // up to the token that completes it
    EXPECT_EQ(out.finish, FinishReason::kStop);
    EXPECT_EQ(std::get<std::string>(out.reason), "STOP");
    EXPECT_EQ(run("abc STOP def", {.stop = {"STOP"}, .include_stop_str_in_output = true}, group).text, "abc STOP");
    EXPECT_EQ(run("abc STO def", {.stop = {"STOP"}}, group).text, "abc STO def");
    EXPECT_EQ(run("aaab", {.stop = {"aab", "aaab"}}, group).text,
              "a");  // both end together: the first of the list counts
    EXPECT_EQ(std::get<std::string>(run("xyz", {.stop = {"yz", "y"}}, group).reason), "y");  // completes first
    EXPECT_EQ(run("abab", {.stop = {"b"}, .min_tokens = 2}, group).text, "aba");
  }
}

TEST(OutputProcessor, HoldsBackOnlyWhatMayStop) {
  Outcome out = run("abc STO x", {.stop = {"STOP"}}, 1);
  EXPECT_EQ(out.deltas, (std::vector<std::string>{"a", "b", "c", " ", "", "", "", "STO ", "x"}));
  out = run("STOP", {.stop = {"STOP"}}, 1);
  EXPECT_EQ(out.text, "");
}

TEST(OutputProcessor, NeverHalfACharacter) {
  Outcome out =
      run("a\xF0\x9F\x98\x80"
          "b",
          {}, 1);
  EXPECT_EQ(out.deltas, (std::vector<std::string>{"a", "", "", "", "\xF0\x9F\x98\x80", "b"}));
  EXPECT_EQ(run("a\xF0\x9F", {}, 1).text, "a\xEF\xBF\xBD");
}

TEST(OutputProcessor, TheStoppingTokenIsCountedButNotShown) {
  Outcome out = run("ab.", {}, 1, FinishReason::kStop);
  EXPECT_EQ(out.text, "ab");
  EXPECT_EQ(out.num_tokens, 3u);
  EXPECT_EQ(run("ab.", {.include_stop_str_in_output = true}, 1, FinishReason::kStop).text, "ab.");
}

TEST(OutputProcessor, LongTextsStayCheap) {
  const std::string text(200000, 'a');
  Outcome out = run(text + "END", {.stop = {"aaab", "END", "aab", "b"}}, 1);
  EXPECT_EQ(out.text.size(), text.size());
  EXPECT_EQ(std::get<std::string>(out.reason), "END");
}

}  // namespace
}  // namespace vllm::serve
