// The server behind TLS: what is the same as on a plain port, and what only TLS can do wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "server/test_server.h"
#include "tls/session.h"
#include "tls/testing/certificates.h"

namespace vllm::server {
namespace {
using ::testing::HasSubstr;
using ::testing::StartsWith;
using tls::Progress;
using tls::testing::Folder;
using tls::testing::make_identity;

/// A client on a socket of its own. What it reads is kept in text().
class TlsClient {
 public:
  explicit TlsClient(uint16_t port, int receive_buffer = 0, std::shared_ptr<const tls::Context> context = nullptr)
      : fd_(connect_to(port, receive_buffer)),
        session_(tls::Session::make_client(context ? context : *tls::Context::make_client(false), fd_, "localhost")) {}
  ~TlsClient() { drop(); }
  void drop() {
    session_.reset();
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  bool shake_hands() {
    return until(5000, [&] { return session_->handshake(); });
  }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      size_t done = 0;
      if (!until(5000, [&] { return session_->write(bytes.data(), bytes.size(), done); })) return false;
      bytes.remove_prefix(done);
    }
    return true;
  }
  bool read_some(int timeout_ms = 5000) {
    char bytes[16384];
    size_t done = 0;
    if (!until(timeout_ms, [&] { return session_->read(bytes, sizeof bytes, done); })) return false;
    text_.append(bytes, done);
    return true;
  }
  bool read_until(std::string_view needle) {
    while (text_.find(needle) == std::string::npos) {
      if (!read_some()) return false;
    }
    return true;
  }
  /// The peer has ended; `last()` says how.
  bool ended_within(int timeout_ms) {
    while (read_some(timeout_ms)) {
    }
    return last_ == Progress::kEnd || last_ == Progress::kFailed;
  }
  std::string ask(std::string_view request, std::string_view end) {
    if (!shake_hands() || !send(request) || !read_until(end)) return "(nothing)";
    return text_;
  }
  Progress last() const { return last_; }
  const std::string& text() const { return text_; }
  tls::Session& session() { return *session_; }
  int fd() const { return fd_; }

  static int connect_to(uint16_t port, int receive_buffer = 0) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }

 private:
  template <typename Step>
  bool until(int timeout_ms, Step step) {
    for (;;) {
      last_ = step();
      if (last_ != Progress::kWantRead && last_ != Progress::kWantWrite) return last_ == Progress::kDone;
      pollfd waiting{fd_, static_cast<short>(last_ == Progress::kWantRead ? POLLIN : POLLOUT), 0};
      if (::poll(&waiting, 1, timeout_ms) <= 0) return false;
    }
  }
  int fd_;
  std::unique_ptr<tls::Session> session_;
  Progress last_ = Progress::kDone;
  std::string text_;
};

class Tls : public ::testing::Test {
 protected:
  ServerOptions options(tls::ClientCertificates clients = tls::ClientCertificates::kNone) {
    ServerOptions out;
    out.tls = tls::ServerSettings{.certfile = folder_.write("s.crt", identity_.certificate_pem()),
                                  .keyfile = folder_.write("s.key", identity_.key_pem()),
                                  .ca_certs = folder_.write("ca.crt", root_.certificate_pem()),
                                  .cert_reqs = clients};
    return out;
  }
  // True once the server has ended the raw connection `fd`.
  static bool closed_within(int fd, int timeout_ms) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
    char bytes[4096];
    for (;;) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
      pollfd waiting{fd, POLLIN, 0};
      if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) <= 0) return false;
      if (::recv(fd, bytes, sizeof bytes, 0) <= 0) return true;
    }
  }
  static bool answers(TestServer& server) {
    TlsClient client(server.server->port());
    return client.ask(make_request("GET", "/health"), "\r\n\r\n").starts_with("HTTP/1.1 200");
  }

  Folder folder_{"server_tls_test"};
  const tls::testing::Identity identity_ = make_identity("server"), root_ = make_identity("root");
};

TEST_F(Tls, AnswersRequestAfterRequest) {
  TestServer server(options());
  TlsClient client(server.server->port());
  EXPECT_THAT(client.ask(make_request("POST", "/v1/chat/completions", "", "{\"a\":1}"), "{\"a\":1}"),
              StartsWith("HTTP/1.1 200"));
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(client.send(make_request("POST", "/v1/chat/completions", "", "n" + std::to_string(i))));
    EXPECT_TRUE(client.read_until("\nn" + std::to_string(i)));
  }
}

TEST_F(Tls, CarriesLargeBodiesAndAnswers) {
  TestServer server(options());
  TlsClient client(server.server->port());
  const std::string body(3'000'000, 'b');
  const std::string requests =
      make_request("POST", "/v1/chat/completions", "", body) + make_request("GET", "/v1/models");
  EXPECT_THAT(client.ask(requests, R"({"object":"list"})"), HasSubstr(body));
}

TEST_F(Tls, StreamsEventByEvent) {
  TestServer server(options());
  TlsClient client(server.server->port());
  ASSERT_TRUE(client.shake_hands());
  client.send(make_request("POST", "/v1/completions", "", "{}"));
  auto writer = server.next_writer();
  ASSERT_TRUE(writer);
  serve::HttpResponse head;
  head.content_type = "text/event-stream";
  writer->start_stream(std::move(head));
  for (int i = 0; i < 5; ++i) {
    writer->write("data: " + std::to_string(i) + "\n\n");
    ASSERT_TRUE(client.read_until("data: " + std::to_string(i) + "\n\n"));
  }
  writer->end();
  EXPECT_TRUE(client.read_until("0\r\n\r\n"));
}

TEST_F(Tls, RedirectsToHttps) {
  TestServer server(options());
  TlsClient client(server.server->port());
  EXPECT_THAT(client.ask(make_request("GET", "/health/"), "\r\n\r\n"), HasSubstr("location: https://here/health\r\n"));
}

TEST_F(Tls, EndsWithCloseNotify) {
  TestServer server(options());
  TlsClient client(server.server->port());
  ASSERT_TRUE(client.shake_hands());
  client.send(make_request("GET", "/health", "Connection: close\r\n"));
  EXPECT_TRUE(client.ended_within(2000));
  EXPECT_EQ(client.last(), Progress::kEnd);
  EXPECT_THAT(client.text(), StartsWith("HTTP/1.1 200"));
}

TEST_F(Tls, EndsPlainHttpAndGarbageAtOnce) {
  TestServer server(options());
  for (const std::string& bytes : {make_request("GET", "/health"), std::string("\x16\x03\x01\x02\x00garbage"),
                                   std::string(100000, '\0'), std::string("\r\n\r\n")}) {
    const int fd = TlsClient::connect_to(server.server->port());
    ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ::shutdown(fd, SHUT_WR);
    EXPECT_TRUE(closed_within(fd, 2000));
    ::close(fd);
  }
  EXPECT_TRUE(answers(server));
}

TEST_F(Tls, EndsAHandshakeThatDoesNotGoOn) {
  ServerOptions given = options();
  given.header_timeout = std::chrono::milliseconds(200);
  TestServer server(std::move(given));
  const int silent = TlsClient::connect_to(server.server->port());
  const int half = TlsClient::connect_to(server.server->port());
  ::send(half, "\x16\x03\x01\x02\x00\x01\x00", 7, MSG_NOSIGNAL);
  const int slow = TlsClient::connect_to(server.server->port());
  const auto begin = std::chrono::steady_clock::now();
  bool slow_ended = false;
  for (int i = 0; i < 100 && !slow_ended; ++i) {  // a byte each 20 ms of a record that announces 512
    ::send(slow, i == 0 ? "\x16\x03\x01\x02\x00\x01" : "\x00", i == 0 ? 6 : 1, MSG_NOSIGNAL);
    slow_ended = closed_within(slow, 20);
  }
  EXPECT_TRUE(slow_ended);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
  EXPECT_TRUE(closed_within(silent, 2000));
  EXPECT_TRUE(closed_within(half, 2000));
  for (int fd : {silent, half, slow}) ::close(fd);
  // The head's time began with the connection: a client that dawdles after the handshake gets none of its own.
  TlsClient idle(server.server->port());
  ASSERT_TRUE(idle.shake_hands());
  EXPECT_TRUE(idle.ended_within(2000));
  EXPECT_EQ(idle.last(), Progress::kEnd);
  EXPECT_TRUE(answers(server));
}

TEST_F(Tls, AClientThatVanishesIsADisconnect) {
  TestServer server(options());
  for (const bool says_so : {true, false}) {
    TlsClient client(server.server->port());
    ASSERT_TRUE(client.shake_hands());
    client.send(make_request("POST", "/v1/completions", "", "{}"));
    auto writer = server.next_writer();
    ASSERT_TRUE(writer);
    std::atomic<bool> gone{false};
    writer->on_disconnect([&] { gone = true; });
    if (says_so) client.session().close();
    client.drop();  // without close_notify where it was not said
    EXPECT_TRUE(eventually([&] { return gone.load(); }));
  }
  EXPECT_TRUE(eventually([&] { return server.server->num_open_requests() == 0; }));
}

TEST_F(Tls, CutsAReaderThatTakesNothing) {
  ServerOptions given = options();
  given.write_stall_timeout = std::chrono::milliseconds(300);
  TestServer server(std::move(given));
  TlsClient client(server.server->port(), 4096);
  ASSERT_TRUE(client.shake_hands());
  client.send(make_request("POST", "/v1/completions", "", "{}"));
  auto writer = server.next_writer();
  ASSERT_TRUE(writer);
  std::atomic<bool> gone{false};
  writer->on_disconnect([&] { gone = true; });
  writer->start_stream({});
  writer->write(std::string(size_t{12} << 20, 'z'));
  EXPECT_GT(writer->pending_bytes(), size_t{1} << 20);
  EXPECT_TRUE(eventually([&] { return gone.load(); }));
}

TEST_F(Tls, ASlowReaderGetsEverything) {
  TestServer server(options());
  TlsClient client(server.server->port(), 4096);
  ASSERT_TRUE(client.shake_hands());
  client.send(make_request("POST", "/v1/completions", "", "{}"));
  auto writer = server.next_writer();
  ASSERT_TRUE(writer);
  serve::HttpResponse answer;
  answer.body = std::string(size_t{6} << 20, 'a') + "the end";
  writer->respond(std::move(answer));
  EXPECT_TRUE(client.read_until("the end"));
}

TEST_F(Tls, EndsAClientThatRenegotiates) {
  TestServer server(options());
  auto context = *tls::Context::make_client(false);
  SSL_CTX_set_max_proto_version(context->get(), TLS1_2_VERSION);
  SSL_CTX_clear_options(context->get(), SSL_OP_NO_RENEGOTIATION);
  SSL* ssl = SSL_new(context->get());
  const int fd = TlsClient::connect_to(server.server->port());
  SSL_set_fd(ssl, fd);
  ASSERT_EQ(SSL_connect(ssl), 1);
  SSL_renegotiate(ssl);
  SSL_do_handshake(ssl);
  EXPECT_TRUE(closed_within(fd, 2000));
  SSL_free(ssl);
  ::close(fd);
  EXPECT_TRUE(answers(server));
}

TEST_F(Tls, RequiresClientCertificates) {
  TestServer server(options(tls::ClientCertificates::kRequired));
  const auto good = make_identity("client", &root_), bad = make_identity("client");
  for (const auto* identity : {&good, &bad}) {
    auto context = *tls::Context::make_client(false);
    SSL_CTX_use_certificate(context->get(), identity->certificate);
    SSL_CTX_use_PrivateKey(context->get(), identity->key);
    TlsClient client(server.server->port(), 0, context);
    const std::string answer = client.ask(make_request("GET", "/health"), "\r\n\r\n");
    if (identity == &good)
      EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
    else
      EXPECT_EQ(answer, "(nothing)");
  }
  TlsClient none(server.server->port());
  EXPECT_EQ(none.ask(make_request("GET", "/health"), "\r\n\r\n"), "(nothing)");
}

TEST_F(Tls, NewConnectionsSeeANewCertificate) {
  ServerOptions given = options();
  given.tls_refresh = true;
  TestServer server(std::move(given));
  const auto fresh = make_identity("fresh", &root_);
  TlsClient old(server.server->port());
  ASSERT_TRUE(old.shake_hands());
  folder_.write("s.key", fresh.key_pem());
  folder_.write("s.crt", fresh.certificate_pem());
  auto shown = [&] {
    const int fd = TlsClient::connect_to(server.server->port());
    SSL* ssl = SSL_new((*tls::Context::make_client(false))->get());
    SSL_set_fd(ssl, fd);
    const bool connected = SSL_connect(ssl) == 1;
    X509* certificate = SSL_get1_peer_certificate(ssl);
    const bool same = connected && certificate && X509_cmp(certificate, fresh.certificate) == 0;
    X509_free(certificate);
    SSL_free(ssl);
    ::close(fd);
    return same;
  };
  EXPECT_TRUE(eventually(shown));
  // The connection of before goes on.
  ASSERT_TRUE(old.send(make_request("GET", "/health")));
  EXPECT_TRUE(old.read_until("HTTP/1.1 200"));
}

TEST_F(Tls, StopsWithOpenHandshakesAndStreams) {
  TestServer server(options());
  const int half = TlsClient::connect_to(server.server->port());
  TlsClient client(server.server->port());
  ASSERT_TRUE(client.shake_hands());
  client.send(make_request("POST", "/v1/completions", "", "{}"));
  ASSERT_TRUE(server.next_writer());
  const auto begin = std::chrono::steady_clock::now();
  server.server->stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  ::close(half);
}

TEST(TlsStart, NamesTheFlagOfAFileThatCantBeUsed) {
  ServerOptions given;
  given.hosts = {"127.0.0.1"}, given.port = 0;
  given.tls = tls::ServerSettings{.certfile = "/nowhere/tls.crt"};
  Server server(std::move(given));
  const Status status = server.start();
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("--ssl-certfile /nowhere/tls.crt"));
}

}  // namespace
}  // namespace vllm::server
