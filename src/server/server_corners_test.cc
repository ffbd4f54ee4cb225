// HTTP corners over raw sockets: framing, limits, slow and vanishing clients.
#include <sys/resource.h>

#include <atomic>
#include <ctime>

#include "server/test_server.h"

namespace vllm::server {
namespace {

using namespace std::chrono_literals;

constexpr const char* kEcho = "/v1/chat/completions";
constexpr const char* kHeld = "/v1/completions";

TEST(Corners, ExpectContinue) {
  TestServer s;
  auto client = s.client();
  client.send(std::string("POST ") + kEcho +
              " HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
  EXPECT_EQ(client.reply().status, 100);
  client.send("hi");
  EXPECT_EQ(client.reply().body, "POST /v1/chat/completions?\nhi");
  // A request that is refused anyway is told so instead of 100.
  auto refused = s.client();
  refused.send("POST /nothing HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n");
  auto reply = refused.reply();
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(reply.headers["connection"], "close");
}

TEST(Corners, Http10) {
  TestServer s;
  auto client = s.client();
  auto reply = client.ask("GET /v1/models HTTP/1.0\r\n\r\n");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers["connection"], "close");
  EXPECT_TRUE(client.closed_within(1000));
  auto kept = s.client();
  EXPECT_EQ(kept.ask("GET /v1/models HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").headers["connection"], "keep-alive");
  EXPECT_EQ(kept.ask("GET /v1/models HTTP/1.0\r\n\r\n").status, 200);
  // A stream for such a client has no chunks and ends with the connection.
  auto streamed = s.client();
  streamed.send(std::string("POST ") + kHeld + " HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\n{}");
  Writer writer = s.next_writer();
  writer->start_stream({.content_type = "text/event-stream"});
  writer->write("data: 1\n\n");
  writer->end();
  auto stream = streamed.reply();
  EXPECT_FALSE(stream.headers.contains("transfer-encoding"));
  EXPECT_EQ(stream.headers["content-type"], "text/event-stream; charset=utf-8");
  EXPECT_EQ(stream.body, "data: 1\n\n");
}

TEST(Corners, ChunkedRequestBodies) {
  TestServer s;
  auto client = s.client();
  const std::string head = std::string("POST ") + kEcho + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(client.ask(head + "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: t\r\n\r\n").body,
            "POST /v1/chat/completions?\nabcde");
  for (char c : head + "1\r\nz\r\n0\r\n\r\n") client.send(std::string_view(&c, 1));
  EXPECT_EQ(client.reply().body, "POST /v1/chat/completions?\nz");
  for (const char* bad :
       {"x\r\nabc\r\n", "-1\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "ffffffffffffffffff\r\n", "0x3\r\nabc\r\n0\r\n\r\n"}) {
    auto reply = s.ask(head + bad);
    EXPECT_EQ(reply.status, 400) << bad;
    EXPECT_EQ(reply.headers["connection"], "close");
  }
}

TEST(Corners, AmbiguousFramingIsRefused) {
  TestServer s;
  const std::string head = std::string("POST ") + kEcho + " HTTP/1.1\r\nHost: h\r\n";
  for (const char* bad :
       {"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "Content-Length: +3\r\n\r\nabc", "Content-Length: -1\r\n\r\n", "Content-Length: 0x3\r\n\r\nabc",
        "Content-Length: 99999999999999999999999\r\n\r\nabc", "Content-Length: \r\n\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "Content-Length : 3\r\n\r\nabc",
        "Host: other\r\n\r\n", "No colon\r\n\r\n", ": empty\r\n\r\n", "A\x01: b\r\n\r\n"}) {
    EXPECT_EQ(s.ask(head + bad).status, 400) << bad;
  }
  EXPECT_EQ(s.ask(head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n").status, 501);
  EXPECT_EQ(s.ask(head + "Transfer-Encoding: identity\r\n\r\n").status, 501);
  EXPECT_EQ(s.ask(std::string("POST ") + kEcho + " HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").status,
            400);
  EXPECT_EQ(s.ask("GET /health HTTP/1.1\r\n\r\n").status, 400);  // no Host
}

TEST(Corners, BadRequestLines) {
  TestServer s;
  using namespace std::string_literals;
  for (const std::string& bad :
       {"GARBAGE\r\n\r\n"s, "GET  /health HTTP/1.1\r\nHost: h\r\n\r\n"s, "GET /health\r\n\r\n"s,
        "GET /health HTTP/9.9\r\nHost: h\r\n\r\n"s, "GET /he alth HTTP/1.1\r\nHost: h\r\n\r\n"s,
        "GET /\0 HTTP/1.1\r\nHost: h\r\n\r\n"s, "GET / HTTP/1.1\r\nHost: h\0\r\n\r\n"s,
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"s, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"s}) {
    auto client = s.client();
    auto reply = client.ask(bad);
    EXPECT_EQ(reply.status, 400) << bad;
    EXPECT_EQ(reply.body, "Invalid HTTP request received.");
    EXPECT_TRUE(client.closed_within(3000));
  }
  EXPECT_EQ(s.ask("\r\n\r\nGET /health HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
  EXPECT_EQ(s.ask("GET http://h:1/health HTTP/1.1\r\nHost: h\r\n\r\n").status, 200);
  EXPECT_EQ(s.ask("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n").status, 404);
  EXPECT_EQ(s.ask("BREW /health HTTP/1.1\r\nHost: h\r\n\r\n").status, 405);
  EXPECT_EQ(s.ask(make_request("GET", "/health%00")).status, 404);
  EXPECT_EQ(s.ask(make_request("GET", "/%zz%")).status, 404);
}

TEST(Corners, Pipelining) {
  TestServer s;
  auto client = s.client();
  std::string many;
  for (int i = 0; i < 50; ++i) many += make_request("POST", kEcho, "", "n" + std::to_string(i));
  client.send(many);
  for (int i = 0; i < 50; ++i) EXPECT_EQ(client.reply().body, "POST /v1/chat/completions?\nn" + std::to_string(i));
  // The answers keep the order of the requests even if a later one could be answered first.
  auto mixed = s.client();
  mixed.send(make_request("POST", kHeld, "", "{}") + make_request("GET", "/v1/models"));
  Writer writer = s.next_writer();
  EXPECT_FALSE(mixed.read_some(50));
  writer->respond({.body = "first"});
  EXPECT_EQ(mixed.reply().body, "first");
  EXPECT_EQ(mixed.reply().body, R"({"object":"list"})");
}

TEST(Corners, EndOfInputAfterARequestStillGetsItsAnswer) {
  TestServer s;
  auto client = s.client();
  client.send(make_request("GET", "/v1/models"));
  client.shutdown_send();
  EXPECT_EQ(client.reply().body, R"({"object":"list"})");
}

TEST(Corners, LargeHeadersAndUrls) {
  TestServer s({.max_header_bytes = 16384, .max_header_count = 50});
  const std::string big(20000, 'a');
  EXPECT_EQ(s.ask(make_request("GET", "/health", "X: " + big + "\r\n")).status, 431);
  EXPECT_EQ(s.ask("GET /" + big + " HTTP/1.1\r\nHost: h\r\n\r\n").status, 414);
  std::string many;
  for (int i = 0; i < 60; ++i) many += "X-" + std::to_string(i) + ": 1\r\n";
  EXPECT_EQ(s.ask(make_request("GET", "/health", many)).status, 431);
  EXPECT_EQ(s.ask(make_request("GET", "/health", "X: " + big.substr(0, 15000) + "\r\n")).status, 200);
  EXPECT_EQ(s.ask(make_request("GET", "/health?" + big.substr(0, 15000))).status, 200);
}

TEST(Corners, EndlessChunkHeader) {
  TestServer s({.max_header_bytes = 16384});
  auto client = s.client();
  client.send(std::string("POST ") + kEcho + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;");
  const std::string junk(1024, 'x');
  for (int i = 0; i < 64 && client.send(junk); ++i) {
  }
  EXPECT_EQ(client.reply().status, 400);
}

TEST(Corners, LargeBodies) {
  TestServer s({.max_body_bytes = 100000});
  auto declared = s.client();
  declared.send(std::string("POST ") + kEcho + " HTTP/1.1\r\nHost: h\r\nContent-Length: 100001\r\n\r\n");
  auto reply = declared.reply();
  EXPECT_EQ(reply.status, 413);
  EXPECT_NE(reply.body.find("100000"), std::string::npos);
  auto chunked = s.client();
  chunked.send(std::string("POST ") + kEcho + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "4000\r\n" + std::string(0x4000, 'x') + "\r\n";
  for (int i = 0; i < 10 && chunked.send(chunk); ++i) {
  }
  EXPECT_EQ(chunked.reply().status, 413);
  EXPECT_EQ(s.ask(make_request("POST", "/tokenize", "", std::string(100000, 'x'))).body, "100000");
  // The client sends all of a refused body before it reads: the answer must not be lost to a reset.
  auto eager = s.client();
  eager.send(make_request("POST", kEcho, "", std::string(3000000, 'x')));
  EXPECT_EQ(eager.reply().status, 413);
}

TEST(Corners, BodiesOfAllRequestsTogetherAreBounded) {
  TestServer s({.max_body_bytes = 300000, .max_total_body_bytes = 800000});
  auto first = s.client();
  first.send(make_request("POST", kHeld, "", std::string(300000, 'x')));
  Writer writer = s.next_writer();
  EXPECT_EQ(s.ask(make_request("POST", "/tokenize", "", std::string(300000, 'x'))).status, 503);
  writer->respond({});
  EXPECT_EQ(first.reply().status, 200);
  EXPECT_TRUE(
      eventually([&] { return s.ask(make_request("POST", "/tokenize", "", std::string(300000, 'x'))).status == 200; }));
}

TEST(Corners, LargeHeadsCountWithTheBodies) {
  TestServer s({.max_total_body_bytes = 200000});
  auto client = s.client();
  client.send("GET /health HTTP/1.1\r\nHost: h\r\nX: ");
  const std::string junk(10000, 'x');
  for (int i = 0; i < 100 && client.send(junk); ++i) {
  }
  EXPECT_TRUE(client.closed_within(2000));
  EXPECT_EQ(s.ask(make_request("GET", "/health", "X: " + std::string(50000, 'x') + "\r\n")).status, 200);
}

TEST(Corners, RefusedRequestsKeepTheConnectionIfTheirBodyIsSmall) {
  TestServer s({.api_keys = {"k"}});
  auto client = s.client();
  EXPECT_EQ(client.ask(make_request("POST", kEcho, "", std::string(5000, 'x'))).status, 401);
  EXPECT_EQ(client.ask(make_request("GET", "/health")).status, 200);
}

TEST(Corners, SlowClientsTimeOut) {
  TestServer s({.keep_alive_timeout = 150ms, .header_timeout = 300ms, .body_stall_timeout = 300ms});
  auto silent = s.client();
  auto half = s.client();
  half.send("GET /health HT");
  auto body = s.client();
  body.send(std::string("POST ") + kEcho + " HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
  auto idle = s.client();
  EXPECT_EQ(idle.ask(make_request("GET", "/health")).status, 200);
  EXPECT_TRUE(idle.closed_within(2000));
  EXPECT_TRUE(silent.closed_within(2000));
  EXPECT_EQ(silent.buffer(), "");
  EXPECT_EQ(half.reply().status, 408);
  EXPECT_EQ(body.reply().status, 408);
  // One byte at a time doesn't extend the head's deadline.
  auto drip = s.client();
  const auto start = std::chrono::steady_clock::now();
  while (drip.send("G") && !drip.closed_within(50) && std::chrono::steady_clock::now() - start < 3s) {
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
}

TEST(Corners, VanishedClientsAreNoticedAtOnce) {
  TestServer s;
  for (bool streaming : {false, true}) {
    for (bool reset : {false, true}) {
      auto client = s.client();
      client.send(make_request("POST", kHeld, "", "{}"));
      Writer writer = s.next_writer();
      ASSERT_TRUE(writer);
      std::atomic<int> calls{0};
      writer->on_disconnect([&] { ++calls; });
      if (streaming) {
        writer->start_stream({.content_type = "text/event-stream"});
        writer->write("data: 1\n\n");
        EXPECT_TRUE(client.read_until("data: 1"));
      }
      EXPECT_EQ(calls, 0);
      if (reset)
        client.reset();
      else
        client.close();
      EXPECT_TRUE(eventually([&] { return calls == 1; })) << streaming << reset;
      writer->write("data: 2\n\n");  // into the void
      writer->end();
      writer->on_disconnect([&] { ++calls; });  // at once, as it has gone already
      EXPECT_EQ(calls, 2);
    }
  }
  EXPECT_TRUE(eventually([&] { return s.server->num_open_requests() == 0; }));
}

TEST(Corners, ReadersThatNeverReadAreCutOff) {
  TestServer s({.max_pending_bytes = 1 << 20});
  TestClient client(s.server->port(), false, 4096);
  client.send(make_request("POST", kHeld, "", "{}"));
  Writer writer = s.next_writer();
  std::atomic<bool> told{false};
  writer->on_disconnect([&] { told = true; });
  writer->start_stream({.content_type = "text/event-stream"});
  const std::string event(10000, 'x');
  size_t most = 0, written = 0;
  for (; !told && written < (size_t{256} << 20); written += event.size()) {
    writer->write(event);
    most = std::max(most, writer->pending_bytes());
  }
  EXPECT_TRUE(told);
  EXPECT_GT(most, size_t{500000});
  EXPECT_LE(most, (size_t{1} << 20) + 4096);
  EXPECT_TRUE(eventually([&] { return s.server->num_open_requests() == 0; }));
}

TEST(Corners, AStalledReaderOfAFinishedAnswerTimesOut) {
  TestServer s({.write_stall_timeout = 200ms});
  TestClient client(s.server->port(), false, 4096);
  client.send(make_request("POST", kHeld, "", "{}"));
  s.next_writer()->respond({.body = std::string(12 << 20, 'x')});
  EXPECT_TRUE(eventually([&] { return s.server->num_open_requests() == 0; }));
}

TEST(Corners, Ipv6AndAllAddresses) {
  TestServer v6({.hosts = {"::1"}});
  if (v6.server->port() == 0) GTEST_SKIP() << "no IPv6 here";
  EXPECT_EQ(TestClient(v6.server->port(), true).ask(make_request("GET", "/health")).status, 200);
  EXPECT_FALSE(TestClient(v6.server->port(), false).connected());
  TestServer all({.hosts = {"::"}});
  EXPECT_EQ(TestClient(all.server->port(), true).ask(make_request("GET", "/health")).status, 200);
  EXPECT_EQ(TestClient(all.server->port(), false).ask(make_request("GET", "/health")).status, 200);
  TestServer none({.hosts = {""}});
  EXPECT_EQ(TestClient(none.server->port(), false).ask(make_request("GET", "/health")).status, 200);
}

TEST(Corners, UnixSocket) {
  const std::string path = testing::TempDir() + "vllm_server_test.sock";
  auto make = [&] {
    ServerOptions options;
    options.uds = path;
    return options;
  };
  {
    Server server(make());
    ASSERT_TRUE(server.start());
    EXPECT_EQ(::access(path.c_str(), F_OK), 0);
    Server second(make());
    EXPECT_FALSE(second.start());
    EXPECT_EQ(::access(path.c_str(), F_OK), 0);  // the loser takes nothing away
  }
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST(Corners, ManyIdleConnections) {
  TestServer s;
  std::vector<TestClient> clients;
  for (int i = 0; i < 1000; ++i) clients.push_back(s.client());
  EXPECT_EQ(s.ask(make_request("GET", "/health")).status, 200);
  for (auto& client : clients) ASSERT_TRUE(client.send(make_request("GET", "/health")));
  for (auto& client : clients) ASSERT_EQ(client.reply().status, 200);
}

TEST(Corners, OutOfDescriptorsWaitsWithoutSpinning) {
  TestServer s;
  auto other = s.client();  // stays open: by its answer the server has the descriptors of its own
  EXPECT_EQ(other.ask(make_request("GET", "/health")).status, 200);
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const int next = ::dup(0);  // the lowest free number: the client below gets it, and accept() finds none
  ASSERT_GE(next, 0);
  ::close(next);
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(next) + 1;
  setrlimit(RLIMIT_NOFILE, &tight);
  auto client = s.client();
  const std::clock_t cpu = std::clock();
  client.send(make_request("GET", "/health"));
  const bool answered = client.read_some(300);
  const double busy = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(client.connected());
  EXPECT_FALSE(answered);
  EXPECT_LT(busy, 0.1);
  EXPECT_EQ(client.reply().status, 200);
}

TEST(Corners, ConnectionsBeyondTheLimitWaitTheirTurn) {
  TestServer s({.max_connections = 4});
  std::vector<TestClient> first;
  for (int i = 0; i < 4; ++i) {
    first.push_back(s.client());
    EXPECT_EQ(first.back().ask(make_request("GET", "/health")).status, 200);
  }
  auto late = s.client();
  late.send(make_request("GET", "/health"));
  EXPECT_FALSE(late.read_some(150));
  first.clear();
  EXPECT_EQ(late.reply().status, 200);
}

}  // namespace
}  // namespace vllm::server
