#include "server/request_parser.h"

#include <gtest/gtest.h>

namespace vllm::server {
namespace {

using State = RequestParser::State;
constexpr RequestParser::Limits kLimits{4096, 16, 1000};

// The state after feeding `bytes` in pieces of `piece`, as a connection would.
State parse(RequestParser& parser, std::string bytes, size_t piece) {
  std::string in;
  while (!bytes.empty()) {
    in += bytes.substr(0, piece);
    bytes.erase(0, piece);
    for (;;) {
      const State before = parser.state();
      in.erase(0, parser.feed(in));
      if (parser.state() == before || in.empty()) break;
    }
  }
  return parser.state();
}

TEST(RequestParser, GivesTheSameAtEverySplit) {
  const std::string request =
      "POST /a?b HTTP/1.1\r\nHost: h\r\nX-Thing:  v \r\nTransfer-Encoding: "
      "chunked\r\n\r\n4;e=1\r\nwiki\r\n5\r\npedia\r\n0\r\nT: 1\r\n\r\n";
  for (size_t piece = 1; piece <= request.size(); ++piece) {
    RequestParser parser(kLimits);
    ASSERT_EQ(parse(parser, request, piece), State::kDone) << piece;
    EXPECT_EQ(parser.head().method, "POST");
    EXPECT_EQ(parser.head().target, "/a?b");
    EXPECT_EQ(parser.head().headers.size(), 3u);
    EXPECT_EQ(parser.head().headers[1], (std::pair<std::string, std::string>("x-thing", "v")));
    EXPECT_EQ(parser.body(), "wikipedia");
  }
}

TEST(RequestParser, StopsAtTheHead) {
  RequestParser parser(kLimits);
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n";
  EXPECT_EQ(parser.feed(head + "abcdef"), head.size());
  EXPECT_EQ(parser.state(), State::kBody);
  EXPECT_EQ(parser.head().content_length, 3u);
  EXPECT_EQ(parser.feed("abcdef"), 3u);
  EXPECT_EQ(parser.state(), State::kDone);
  EXPECT_EQ(parser.feed("def"), 0u);
}

TEST(RequestParser, LimitsChunkedBodies) {
  RequestParser parser(kLimits);
  EXPECT_EQ(
      parse(parser, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + std::string(1001, 'x'),
            100),
      State::kError);
  EXPECT_EQ(parser.failure().status, 413);
}

TEST(RequestParser, KeepAlive) {
  const std::pair<const char*, bool> cases[] = {{"HTTP/1.1\r\nHost: h\r\n", true},
                                                {"HTTP/1.1\r\nHost: h\r\nConnection: close\r\n", false},
                                                {"HTTP/1.0\r\n", false},
                                                {"HTTP/1.0\r\nConnection: Keep-Alive\r\n", true}};
  for (const auto& [text, keep] : cases) {
    RequestParser parser(kLimits);
    ASSERT_EQ(parse(parser, std::string("GET / ") + text + "\r\n", 1000), State::kDone);
    EXPECT_EQ(parser.head().keep_alive, keep) << text;
  }
}

}  // namespace
}  // namespace vllm::server
