#include "tls/session.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <cerrno>
#include <new>

#include "base/check.h"
#include "tls/pem.h"

namespace vllm::tls {
namespace {

// OpenSSL's own socket BIO writes without MSG_NOSIGNAL: a peer that has gone would end the process by SIGPIPE.
int fd_of(BIO* bio) { return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio))); }
bool later(int reason) { return reason == EAGAIN || reason == EWOULDBLOCK || reason == EINTR; }

int socket_write(BIO* bio, const char* bytes, size_t size, size_t* done) {
  BIO_clear_retry_flags(bio);
  const ssize_t sent = ::send(fd_of(bio), bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && later(errno)) BIO_set_retry_write(bio);
  *done = sent > 0 ? static_cast<size_t>(sent) : 0;
  return sent > 0;
}

int socket_read(BIO* bio, char* bytes, size_t size, size_t* done) {
  BIO_clear_retry_flags(bio);
  const ssize_t got = ::recv(fd_of(bio), bytes, size, MSG_DONTWAIT);
  if (got < 0 && later(errno)) BIO_set_retry_read(bio);
  if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  *done = got > 0 ? static_cast<size_t>(got) : 0;
  return got > 0;
}

long socket_ctrl(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
  return 0;
}

const BIO_METHOD* socket_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    CHECK(m != nullptr);
    BIO_meth_set_write_ex(m, socket_write);
    BIO_meth_set_read_ex(m, socket_read);
    BIO_meth_set_ctrl(m, socket_ctrl);
    return m;
  }();
  return method;
}

// Which of an SSL's user data says that the peer wanted another handshake.
int renegotiation_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

void on_event(const SSL* ssl, int where, int value) {
  const bool refused = (where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT && (value & 0xff) == SSL_AD_NO_RENEGOTIATION;
  if (refused) SSL_set_ex_data(const_cast<SSL*>(ssl), renegotiation_index(), const_cast<SSL*>(ssl));
}

bool is_address(const std::string& host) {
  unsigned char ignored[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, host.c_str(), ignored) == 1 || ::inet_pton(AF_INET6, host.c_str(), ignored) == 1;
}

}  // namespace

void watch_renegotiation(SSL_CTX* context) { SSL_CTX_set_info_callback(context, on_event); }

Session::Session(std::shared_ptr<const Context> context, int fd)
    : context_(std::move(context)), ssl_(SSL_new(context_->get())) {
  BIO* bio = ssl_ ? BIO_new(socket_method()) : nullptr;
  if (!bio) {
    SSL_free(ssl_);
    throw std::bad_alloc();
  }
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(fd)));
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
}

Session::~Session() {
  SSL_free(ssl_);
  ERR_clear_error();
}

std::unique_ptr<Session> Session::make_server(std::shared_ptr<const Context> context, int fd) {
  std::unique_ptr<Session> out(new Session(std::move(context), fd));
  SSL_set_accept_state(out->ssl_);
  return out;
}

std::unique_ptr<Session> Session::make_client(std::shared_ptr<const Context> context, int fd, const std::string& host) {
  std::unique_ptr<Session> out(new Session(std::move(context), fd));
  SSL_set_connect_state(out->ssl_);
  if (is_address(host)) {
    if (out->context_->verifies_names()) X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(out->ssl_), host.c_str());
  } else {
    SSL_set_tlsext_host_name(out->ssl_, host.c_str());
    if (out->context_->verifies_names()) SSL_set1_host(out->ssl_, host.c_str());
  }
  return out;
}

Progress Session::after(int result) {
  if (SSL_get_ex_data(ssl_, renegotiation_index()) != nullptr) {
    failure_ = "the peer began a second handshake";
    return Progress::kFailed;
  }
  if (result == 1) return Progress::kDone;
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ: return Progress::kWantRead;
    case SSL_ERROR_WANT_WRITE: return Progress::kWantWrite;
    case SSL_ERROR_ZERO_RETURN: return Progress::kEnd;
    default: break;
  }
  const unsigned long code = ERR_peek_error();
  const bool just_gone = code == 0 || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
  const long verified = SSL_get_verify_result(ssl_);
  failure_ = just_gone ? std::string() : openssl_error();
  if (!just_gone && verified != X509_V_OK) failure_ += fmt::format(" ({})", X509_verify_cert_error_string(verified));
  ERR_clear_error();
  return Progress::kFailed;
}

Progress Session::handshake() {
  ERR_clear_error();
  return after(SSL_do_handshake(ssl_));
}

Progress Session::read(char* bytes, size_t size, size_t& done) {
  ERR_clear_error();
  done = 0;
  return after(SSL_read_ex(ssl_, bytes, size, &done));
}

Progress Session::write(const char* bytes, size_t size, size_t& done) {
  ERR_clear_error();
  done = 0;
  return after(SSL_write_ex(ssl_, bytes, size, &done));
}

void Session::close() {
  ERR_clear_error();
  if (SSL_is_init_finished(ssl_)) SSL_shutdown(ssl_);
  ERR_clear_error();
}

}  // namespace vllm::tls
