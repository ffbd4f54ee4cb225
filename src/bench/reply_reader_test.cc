#include "bench/reply_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/sse_parser.h"

namespace vllm::bench {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr std::string_view kEvents =
    ": a comment\n\ndata: {\"a\":1}\n\nevent: x\ndata:two\ndata: lines\n\ndata: {\"b\": \"\\n\"}\r\n\r\ndata: "
    "[DONE]\n\n";

TEST(SseParser, SplitAtEveryByte) {
  const std::vector<std::string> expected{"{\"a\":1}", "two\nlines", "{\"b\": \"\\n\"}", "[DONE]"};
  for (size_t first = 0; first <= kEvents.size(); ++first) {
    for (size_t second = first; second <= kEvents.size(); second += 3) {
      SseParser parser;
      std::vector<std::string> got;
      auto take = [&](std::string_view data) { got.emplace_back(data); };
      for (std::string_view part :
           {kEvents.substr(0, first), kEvents.substr(first, second - first), kEvents.substr(second)}) {
        std::string copy(part);  // its memory goes away after the call
        EXPECT_TRUE(parser.feed(copy, take));
      }
      ASSERT_EQ(got, expected) << first << " " << second;
    }
  }
}

TEST(SseParser, RefusesAnEndlessEvent) {
  SseParser parser;
  const std::string much(size_t{1} << 20, 'x');
  bool ok = parser.feed("data: ", [](std::string_view) {});
  int rounds = 0;
  for (; ok && rounds < 100; ++rounds) ok = parser.feed(much, [](std::string_view) {});
  EXPECT_EQ(rounds, 64);
}

TEST(StreamChunk, IsReadWithoutATree) {
  auto text = [](std::string_view json, Api api) { return std::string(scan_chunk(json, api).raw_text); };
  EXPECT_EQ(text(R"({"id":"x","choices":[{"index":0,"text":" a\"b","logprobs":null}]})", Api::kCompletions), " a\\\"b");
  EXPECT_EQ(text(R"({"choices": [ {"index": 0, "delta": {"content": "hi"}}]})", Api::kChat), "hi");
  // A text that looks like a key stays a text.
  EXPECT_EQ(text(R"({"id":"choices","choices":[{"delta":{"content":"\"content\":\"no\""}}]})", Api::kChat),
            R"(\"content\":\"no\")");
  EXPECT_TRUE(scan_chunk(R"({"choices":[{"text":""}]})", Api::kCompletions).has_choice);
  for (const char* none : {R"({"choices":[],"usage":{}})", R"({"choices":null})", R"({"usage":{}})", "", "{",
                           R"("choices")", R"({"choices":)", R"({"choices":[)"}) {
    EXPECT_FALSE(scan_chunk(none, Api::kCompletions).has_choice) << none;
  }
  EXPECT_TRUE(
      scan_chunk(R"({"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]})", Api::kChat)
          .is_role_only);
  EXPECT_FALSE(scan_chunk(R"({"choices":[{"delta":{"role":"assistant","content":"a"}}]})", Api::kChat).is_role_only);
  EXPECT_FALSE(
      scan_chunk(R"({"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]})", Api::kChat)
          .is_role_only);
  EXPECT_EQ(unescape(R"(\u00e9\n)"), "é\n");
  EXPECT_EQ(unescape(R"(\)"), "");
}

// A reply as a server sends it: chunked, an event per chunk.
std::string chunked(const std::vector<std::string>& events) {
  std::string out = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& event : events) {
    std::string bytes = "data: " + event + "\n\n";
    out += fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes);
  }
  return out + "0\r\n\r\n";
}

const std::vector<std::string> kStream{R"({"choices":[{"text":"a"}]})", R"({"choices":[{"text":"b"}]})",
                                       R"({"choices":[{"text":"\u00e9","finish_reason":"length"}]})",
                                       R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}})", "[DONE]"};

// Feed in pieces the way the client does; each piece a second later than the one before.
Outcome read(std::string_view bytes, const std::vector<size_t>& cuts, Api api = Api::kCompletions) {
  Outcome out{.start_time = 100};
  ReplyReader reader(api, out);
  std::string held;
  double now = 100;
  size_t from = 0;
  for (size_t i = 0; i <= cuts.size(); ++i) {
    const size_t to = i < cuts.size() ? cuts[i] : bytes.size();
    held += bytes.substr(from, to - from);
    from = to;
    auto used = reader.feed(held, now += 1);
    EXPECT_TRUE(used) << used.error().message;
    if (!used) return out;
    held.erase(0, *used);
  }
  EXPECT_TRUE(reader.done());
  EXPECT_TRUE(reader.keeps_connection());
  reader.finish();
  return out;
}

TEST(ReplyReader, UsageBesideTheLastChoiceCounts) {
  const std::vector<std::string> stream{
      R"({"choices":[{"text":"a, ","finish_reason":null}],"usage":null})",
      R"({"choices":[{"text":"","finish_reason":"length"}],"usage":{"completion_tokens":4,"prompt_tokens":2}})",
      "[DONE]"};
  Outcome out = read(chunked(stream), {});
  ASSERT_TRUE(out.success) << out.error;
  EXPECT_EQ(out.generated_text, "a, ");
  EXPECT_EQ(out.output_tokens, 4);
  EXPECT_EQ(out.prompt_len, 2);
}

TEST(ReplyReader, SplitAtEveryByte) {
  const std::string bytes = chunked(kStream);
  for (size_t cut = 0; cut <= bytes.size(); ++cut) {
    Outcome out = read(bytes, {cut});
    ASSERT_TRUE(out.success) << cut << " " << out.error;
    ASSERT_EQ(out.generated_text, "abé");
    ASSERT_EQ(out.output_tokens, 3);
    ASSERT_EQ(out.prompt_len, 7);
    ASSERT_EQ(out.itls.size(), 2u);
    ASSERT_EQ(out.latency, out.ttft + out.itls[0] + out.itls[1]);
  }
}

TEST(ReplyReader, StampsAChunkWithItsRead) {
  const std::string bytes = chunked(kStream);
  auto end_of = [&](const char* text) { return bytes.find(text) + std::string_view(text).size() + 6; };
  Outcome out = read(bytes, {40, end_of("\"a\""), end_of("\"b\"")});
  EXPECT_EQ(out.ttft, 2);
  EXPECT_THAT(out.itls, ElementsAre(1, 1));
  EXPECT_EQ(out.latency, 4);
}

TEST(ReplyReader, SkipsTheRoleChunkOfAChat) {
  const std::string bytes =
      chunked({R"({"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]})",
               R"({"choices":[{"delta":{"content":"a"},"finish_reason":null}]})", "[DONE]"});
  Outcome out = read(bytes, {bytes.find("null}]}") + 12}, Api::kChat);
  EXPECT_TRUE(out.success);
  EXPECT_EQ(out.ttft, 2);
  EXPECT_TRUE(out.itls.empty());
}

TEST(ReplyReader, TellsWhatWentWrong) {
  auto told = [](std::string_view bytes) {
    Outcome out;
    ReplyReader reader(Api::kCompletions, out);
    auto used = reader.feed(bytes, 1);
    if (!used) return used.error().message;
    if (Status status = reader.end(); !status) return status.error().message;
    reader.finish();
    EXPECT_FALSE(out.success);
    return out.error;
  };
  EXPECT_EQ(told("HTTP/1.1 400 Bad Request\r\nContent-Length: 32\r\n\r\n{\"error\":{\"message\":\"no model\"}} "),
            "HTTP 400 Bad Request: no model");
  EXPECT_EQ(told("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\n<>"), "HTTP 502 Bad Gateway");
  EXPECT_EQ(told(chunked({R"({"choices":[{"text":"a"}]})", R"({"error":{"message":"engine died"}})"})), "engine died");
  EXPECT_THAT(told(chunked({"[DONE]"})), HasSubstr("no token"));
  EXPECT_THAT(told("SSH-2.0-OpenSSH_9.2\r\n"), HasSubstr("no HTTP"));
  EXPECT_THAT(told("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), HasSubstr("before its reply was complete"));
  EXPECT_THAT(told(""), HasSubstr("before its reply was complete"));
}

}  // namespace
}  // namespace vllm::bench
