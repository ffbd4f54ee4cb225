#include "tls/session.h"

#include <gmock/gmock.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls/testing/certificates.h"

namespace vllm::tls {
namespace {
using testing::Folder;
using ::testing::HasSubstr;
using testing::make_identity;

class Sessions : public ::testing::Test {
 protected:
  Sessions() { EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds_), 0); }
  ~Sessions() override {
    for (int fd : fds_) ::close(fd);
  }
  std::shared_ptr<const Context> server_context(ClientCertificates clients = ClientCertificates::kNone) {
    auto made = Context::make_server({.certfile = folder_.write("s.crt", server_.certificate_pem()),
                                      .keyfile = folder_.write("s.key", server_.key_pem()),
                                      .ca_certs = folder_.write("ca.crt", root_.certificate_pem()),
                                      .cert_reqs = clients});
    EXPECT_TRUE(made);
    return *made;
  }
  // Let both sides go on until neither can; what the server's came to.
  Progress shake_hands(Session& server, Session& client) {
    Progress ours = Progress::kWantRead;
    for (int i = 0; i < 20 && ours == Progress::kWantRead; ++i) {
      theirs_ = client.handshake();
      ours = server.handshake();
    }
    if (ours == Progress::kDone && theirs_ != Progress::kDone) theirs_ = client.handshake();
    return ours;
  }
  std::shared_ptr<const Context> client_context(const testing::Identity* shown = nullptr) {
    auto context = *Context::make_client(false);
    if (shown) {
      SSL_CTX_use_certificate(context->get(), shown->certificate);
      SSL_CTX_use_PrivateKey(context->get(), shown->key);
    }
    return context;
  }

  Folder folder_{"tls_session_test"};
  const testing::Identity root_ = make_identity("root"), server_ = make_identity("server"),
                          client_ = make_identity("client", &root_), stranger_ = make_identity("stranger");
  int fds_[2];
  Progress theirs_ = Progress::kWantRead;
};

TEST_F(Sessions, CarryBytesBothWaysAndEndProperly) {
  auto server = Session::make_server(server_context(), fds_[0]);
  auto client = Session::make_client(client_context(), fds_[1], "localhost");
  ASSERT_EQ(shake_hands(*server, *client), Progress::kDone);
  ASSERT_EQ(theirs_, Progress::kDone);
  char bytes[16384];
  size_t done = 0;
  EXPECT_EQ(server->read(bytes, sizeof bytes, done), Progress::kWantRead);
  const std::string text(10000, 'x');
  ASSERT_EQ(client->write(text.data(), text.size(), done), Progress::kDone);
  EXPECT_EQ(done, text.size());
  ASSERT_EQ(server->read(bytes, sizeof bytes, done), Progress::kDone);
  EXPECT_EQ(std::string(bytes, done), text);
  ASSERT_EQ(server->write("back", 4, done), Progress::kDone);
  Progress read = Progress::kWantRead;  // session tickets come first
  for (int i = 0; i < 5 && read == Progress::kWantRead; ++i) read = client->read(bytes, sizeof bytes, done);
  ASSERT_EQ(read, Progress::kDone);
  EXPECT_EQ(std::string(bytes, done), "back");
  client->close();
  EXPECT_EQ(server->read(bytes, sizeof bytes, done), Progress::kEnd);
}

TEST_F(Sessions, AWriteToAFullSocketWantsAndGoesOn) {
  auto server = Session::make_server(server_context(), fds_[0]);
  auto client = Session::make_client(client_context(), fds_[1], "localhost");
  ASSERT_EQ(shake_hands(*server, *client), Progress::kDone);
  const std::string text(size_t{4} << 20, 'y');
  size_t sent = 0, received = 0, done = 0;
  bool wanted = false;
  char bytes[16384];
  while (received < text.size()) {
    if (sent < text.size()) {
      const Progress progress = server->write(text.data() + sent, text.size() - sent, done);
      ASSERT_TRUE(progress == Progress::kDone || progress == Progress::kWantWrite);
      sent += done;
      if (progress == Progress::kDone) continue;
      wanted = true;
    }
    const Progress progress = client->read(bytes, sizeof bytes, done);
    ASSERT_TRUE(progress == Progress::kDone || progress == Progress::kWantRead);
    received += done;
  }
  EXPECT_TRUE(wanted);
}

TEST_F(Sessions, RefusePlainText) {
  auto server = Session::make_server(server_context(), fds_[0]);
  const std::string request = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
  ASSERT_EQ(::write(fds_[1], request.data(), request.size()), static_cast<ssize_t>(request.size()));
  EXPECT_EQ(server->handshake(), Progress::kFailed);
  EXPECT_EQ(server->failure(), "http request");
}

TEST_F(Sessions, AreNotToldOfAPeerThatHasJustGone) {
  auto server = Session::make_server(server_context(), fds_[0]);
  ::shutdown(fds_[1], SHUT_RDWR);
  EXPECT_EQ(server->handshake(), Progress::kFailed);
  EXPECT_EQ(server->failure(), "");
}

TEST_F(Sessions, RefuseOldProtocols) {
  auto server = Session::make_server(server_context(), fds_[0]);
  auto context = client_context();
  SSL_CTX_set_min_proto_version(context->get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(context->get(), TLS1_1_VERSION);
  SSL_CTX_set_cipher_list(context->get(), "ALL:@SECLEVEL=0");
  auto client = Session::make_client(context, fds_[1], "localhost");
  EXPECT_EQ(shake_hands(*server, *client), Progress::kFailed);
}

TEST_F(Sessions, AskClientsForCertificates) {
  struct Case {
    ClientCertificates asked;
    const testing::Identity* shown;
    Progress expected;
  };
  using enum ClientCertificates;
  const Case cases[] = {{kRequired, nullptr, Progress::kFailed},    {kRequired, &client_, Progress::kDone},
                        {kRequired, &stranger_, Progress::kFailed}, {kRequired, &server_, Progress::kDone},  // itself
                        {kOptional, nullptr, Progress::kDone},      {kOptional, &stranger_, Progress::kFailed},
                        {kNone, &stranger_, Progress::kDone}};
  for (const Case& c : cases) {
    int fds[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    auto server = Session::make_server(server_context(c.asked), fds[0]);
    auto client = Session::make_client(client_context(c.shown), fds[1], "localhost");
    EXPECT_EQ(shake_hands(*server, *client), c.expected) << static_cast<int>(c.asked);
    ::close(fds[0]), ::close(fds[1]);
  }
}

TEST_F(Sessions, FailWhenThePeerRenegotiates) {
  auto server = Session::make_server(server_context(), fds_[0]);
  auto context = client_context();
  SSL_CTX_set_max_proto_version(context->get(), TLS1_2_VERSION);
  SSL_CTX_clear_options(context->get(), SSL_OP_NO_RENEGOTIATION);
  // A client of OpenSSL's own, so that its handshake can be begun again.
  SSL* client = SSL_new(context->get());
  SSL_set_fd(client, fds_[1]);
  SSL_set_connect_state(client);
  Progress ours = Progress::kWantRead;
  for (int i = 0; i < 20 && (ours == Progress::kWantRead || !SSL_is_init_finished(client)); ++i) {
    SSL_do_handshake(client);
    if (ours == Progress::kWantRead) ours = server->handshake();
  }
  ASSERT_EQ(ours, Progress::kDone);
  ASSERT_EQ(SSL_renegotiate(client), 1);
  SSL_do_handshake(client);
  char bytes[16384];
  size_t done = 0;
  EXPECT_EQ(server->read(bytes, sizeof bytes, done), Progress::kFailed);
  EXPECT_THAT(server->failure(), HasSubstr("second handshake"));
  SSL_free(client);
}

TEST_F(Sessions, AVerifyingClientRefusesAnUnknownServer) {
  auto server = Session::make_server(server_context(), fds_[0]);
  auto client = Session::make_client(*Context::make_client(true), fds_[1], "localhost");
  shake_hands(*server, *client);
  EXPECT_EQ(theirs_, Progress::kFailed);
  EXPECT_THAT(client->failure(), HasSubstr("certificate verify failed"));
}

}  // namespace
}  // namespace vllm::tls
