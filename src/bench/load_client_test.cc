#include "bench/load_client.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

namespace vllm::bench {
namespace {

using testing::HasSubstr;

// A server of the loopback interface that answers each request with the bytes of a function, a thread per connection.
class FakeServer {
 public:
  struct Answer {
    std::vector<std::string> pieces;  // sent with `gap` between them
    bool close = false;
  };
  using Handler = std::function<Answer(const std::string& request, int number)>;

  explicit FakeServer(Handler handler, std::chrono::milliseconds gap = {}) : handler_(std::move(handler)), gap_(gap) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    EXPECT_EQ(::listen(listener_, 128), 0);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] {
      for (int fd; (fd = ::accept(listener_, nullptr, nullptr)) >= 0;) {
        ++num_connections;
        int one = 1;  // pieces leave at once
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        threads_.emplace_back([this, fd] { serve(fd); });
      }
    });
  }
  // Clients must be gone: their connections end the threads.
  ~FakeServer() {
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(listener_);
    for (std::thread& thread : threads_) thread.join();
  }
  Target target() const { return make_target("127.0.0.1", port_); }

  std::atomic<int> num_connections{0}, num_requests{0}, num_open{0}, max_open{0};

 private:
  void serve(int fd) {
    std::string in;
    bool open = true;
    while (open && read_request(fd, in)) {
      int now = ++num_open;
      for (int seen = max_open; now > seen && !max_open.compare_exchange_weak(seen, now);) {
      }
      Answer answer = handler_(in, num_requests++);
      in.clear();
      for (const std::string& piece : answer.pieces) {
        ::send(fd, piece.data(), piece.size(), MSG_NOSIGNAL);
        std::this_thread::sleep_for(gap_);
      }
      --num_open;
      open = !answer.close;
    }
    ::close(fd);
  }
  static bool read_request(int fd, std::string& in) {
    size_t need = std::string::npos;
    char bytes[65536];
    while (in.size() < need) {
      ssize_t got = ::recv(fd, bytes, sizeof bytes, 0);
      if (got <= 0) return false;
      in.append(bytes, static_cast<size_t>(got));
      size_t head = in.find("\r\n\r\n"), length = in.find("Content-Length: ");
      if (head == std::string::npos) continue;
      need = head + 4 + (length < head ? std::stoul(in.substr(length + 16)) : 0);
    }
    return true;
  }

  const Handler handler_;
  const std::chrono::milliseconds gap_;
  int listener_ = -1;
  uint16_t port_ = 0;
  std::thread acceptor_;
  std::vector<std::thread> threads_;
};

std::string event(const std::string& json) {
  std::string bytes = "data: " + json + "\n\n";
  return fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes);
}
FakeServer::Answer stream(int tokens) {
  FakeServer::Answer out;
  out.pieces.emplace_back("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (int i = 0; i < tokens; ++i) out.pieces.push_back(event(R"({"choices":[{"text":"t"}]})"));
  out.pieces.push_back(
      event(fmt::format(R"({{"choices":[],"usage":{{"prompt_tokens":5,"completion_tokens":{}}}}})", tokens)) +
      event("[DONE]") + "0\r\n\r\n");
  return out;
}

std::vector<LoadJob> jobs(const Target& target, size_t count) {
  RequestPlan plan{.target = target, .path = "/v1/completions", .model = "m"};
  std::vector<LoadJob> out;
  for (size_t i = 0; i < count; ++i) out.push_back({post_request(plan, Sample{"hello", {}, 1, 4}, "id-1"), 1, 4});
  return out;
}
LoadOptions at_once(size_t count, int64_t max_concurrency = 0) {
  return {.api = Api::kCompletions,
          .arrivals = std::vector<double>(count),
          .max_concurrency = max_concurrency,
          .on_progress = {}};
}

TEST(LoadClient, MeasuresAndKeepsConnections) {
  FakeServer server(
      [](const std::string& request, int) {
        EXPECT_THAT(request, HasSubstr("POST /v1/completions HTTP/1.1\r\n"));
        EXPECT_THAT(request, HasSubstr("x-request-id: id-1\r\n"));
        EXPECT_THAT(request, HasSubstr(R"("stream":true)"));
        return stream(4);
      },
      std::chrono::milliseconds(5));
  auto client = LoadClient::make(server.target()).value();
  size_t told = 0;
  LoadOptions options = at_once(12, 3);
  options.on_progress = [&told](size_t done) { told = done; };
  LoadResult result = client->run(jobs(server.target(), 12), options);
  EXPECT_EQ(told, 12u);
  for (const Outcome& o : result.outcomes) {
    EXPECT_TRUE(o.success) << o.error;
    EXPECT_EQ(o.output_tokens, 4);
    EXPECT_EQ(o.prompt_len, 5);
    EXPECT_EQ(o.itls.size(), 3u);
    EXPECT_EQ(o.generated_text, "tttt");
    EXPECT_GT(o.ttft, 0.004);
    EXPECT_GE(o.latency, o.ttft);  // by how much is up to how busy the machine is
  }
  EXPECT_EQ(server.max_open, 3);
  EXPECT_EQ(server.num_connections, 3);
  EXPECT_GT(result.outcomes[11].queue_time, 0.05);
  EXPECT_LT(result.outcomes[0].queue_time, result.outcomes[11].queue_time);
  EXPECT_GT(result.duration_s, 4 * 0.025);
}

TEST(LoadClient, SendsAtTheGivenTimes) {
  FakeServer server([](const std::string&, int) { return stream(1); });
  auto client = LoadClient::make(server.target()).value();
  LoadOptions options = at_once(3);
  options.arrivals = {0, 0.1, 0.15};
  const double before = seconds_now();
  LoadResult result = client->run(jobs(server.target(), 3), options);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_GE(result.outcomes[i].start_time, before + options.arrivals[i]);
    EXPECT_LT(result.outcomes[i].start_time, before + options.arrivals[i] + 5);
  }
}

TEST(LoadClient, TakesAnotherConnectionForOneThatWasClosed) {
  FakeServer server([](const std::string&, int) {
    auto answer = stream(2);
    answer.close = true;  // without saying so
    return answer;
  });
  auto client = LoadClient::make(server.target()).value();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(client->run(jobs(server.target(), 1), at_once(1)).outcomes[0].success);
  EXPECT_EQ(server.num_connections, 5);
}

TEST(LoadClient, ReportsFailures) {
  FakeServer server([](const std::string&, int number) {
    FakeServer::Answer answer;
    if (number == 0) answer.pieces = {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"};
    if (number == 1) answer.pieces = {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"}, answer.close = true;
    if (number == 2) answer.pieces = {"garbage\r\n\r\n"};
    if (number == 3) answer.pieces = {"HTTP/1.1 200 OK\r\nX: " + std::string(3 << 20, 'a')}, answer.close = true;
    if (number == 4) return stream(2);
    return answer;
  });
  auto client = LoadClient::make(server.target()).value();
  const char* expected[] = {"HTTP 503", "before its reply was complete", "no HTTP", "", ""};
  for (int i = 0; i < 5; ++i) {
    Outcome outcome = client->run(jobs(server.target(), 1), at_once(1)).outcomes[0];
    EXPECT_EQ(outcome.success, i == 4) << i;
    EXPECT_THAT(outcome.error, HasSubstr(expected[i]));
  }
}

TEST(LoadClient, SaysThatNobodyListens) {
  Target closed = make_target("127.0.0.1", 1);
  Outcome outcome = LoadClient::make(closed).value()->run(jobs(closed, 1), at_once(1)).outcomes[0];
  EXPECT_FALSE(outcome.success);
  EXPECT_THAT(outcome.error, HasSubstr("connecting"));
  EXPECT_FALSE(LoadClient::make(closed).value()->ask(get_request(closed, "/v1/models", {})));
}

TEST(LoadClient, AsksPlainQuestions) {
  FakeServer server([](const std::string& request, int) {
    EXPECT_THAT(request, HasSubstr("GET /v1/models HTTP/1.1\r\n"));
    return FakeServer::Answer{{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"}};
  });
  auto client = LoadClient::make(server.target()).value();
  auto reply = client->ask(get_request(server.target(), "/v1/models", {}));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->body, "{}");
}

// One thread must read far more events than any server sends: this prints how many.
TEST(LoadClient, ReadsManyEvents) {
  std::string block;
  for (int i = 0; i < 64; ++i)
    block += event(
        R"({"id":"cmpl-0123456789abcdef","object":"text_completion","created":1763730000,"model":"m","choices":[{"index":0,"text":" token","logprobs":null,"finish_reason":null}]})");
  FakeServer server([&block](const std::string&, int) {
    auto answer = stream(1);
    answer.pieces.insert(answer.pieces.begin() + 1, 500, block);
    return answer;
  });
  auto client = LoadClient::make(server.target()).value();
  LoadResult result = client->run(jobs(server.target(), 2), at_once(2));
  double events = 0;
  for (const Outcome& o : result.outcomes) {
    EXPECT_TRUE(o.success) << o.error;
    events += static_cast<double>(o.itls.size());
  }
  EXPECT_EQ(events, 2 * 64 * 500);
  std::printf("%.0f events/s\n", events / result.duration_s);
}

TEST(Request, ReadsUrls) {
  auto target = parse_base_url("http://[::1]:8001/api/").value();
  EXPECT_EQ(target.host, "::1");
  EXPECT_EQ(target.port, "8001");
  EXPECT_EQ(target.prefix, "/api");
  EXPECT_EQ(target.host_header, "[::1]:8001");
  EXPECT_EQ(parse_base_url("http://here")->port, "80");
  auto secure = parse_base_url("https://here/v").value();
  EXPECT_TRUE(secure.tls);
  EXPECT_EQ(secure.port, "443");
  EXPECT_EQ(secure.host, "here");
  for (const char* wrong : {"here:8000", "http://", "http://:80", "http://h:0", "http://h:x", "http://h:99999",
                            "http://[::1", "http://h/a\r\nX: y"})
    EXPECT_FALSE(parse_base_url(wrong)) << wrong;
}

TEST(Request, HasVllmsFields) {
  RequestPlan plan{.target = make_target("h", 1), .path = "/v1/completions", .model = "m"};
  plan.fields["ignore_eos"] = true;
  EXPECT_EQ(request_body(plan, Sample{"", {1, 2}, 2, 9}),
            R"({"model":"m","prompt":[1,2],"repetition_penalty":1E0,"max_tokens":9,"stream":true,)"
            R"("stream_options":{"include_usage":true},"ignore_eos":true})");
  plan.api = Api::kChat;
  EXPECT_EQ(request_body(plan, Sample{"a\"", {}, 2, 9}),
            R"({"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"a\""}]}],)"
            R"("max_completion_tokens":9,"stream":true,"stream_options":{"include_usage":true},"ignore_eos":true})");
  EXPECT_FALSE(parse_pairs("header", {"no equals"}));
  EXPECT_FALSE(parse_pairs("header", {"a=b\r\nc: d"}));
  EXPECT_EQ(parse_pairs("header", {" a = b=c "}).value()[0], (std::pair<std::string, std::string>("a", "b=c")));
}

}  // namespace
}  // namespace vllm::bench
