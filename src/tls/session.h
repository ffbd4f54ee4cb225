#pragma once
// One TLS connection on a non-blocking socket. It never waits: what it wants is said, and its owner waits for it.
// One thread at a time; no call after the socket was closed.
#include <cstddef>
#include <memory>
#include <string>

#include "tls/context.h"

typedef struct ssl_st SSL;  // OpenSSL's

namespace vllm::tls {

enum class Progress {
  kDone,       // what was asked for, or part of it, has been done
  kWantRead,   // call again when the socket is readable
  kWantWrite,  // call again when the socket is writable
  kEnd,        // the peer has ended its sending side properly; reads only
  kFailed,     // the connection is of no more use: failure() says why
};

class Session {
 public:
  /// The server's side. Both throw std::bad_alloc when memory has run out. `fd` stays the caller's.
  static std::unique_ptr<Session> make_server(std::shared_ptr<const Context> context, int fd);
  /// The client's side, to the server `host` (a name or an address).
  static std::unique_ptr<Session> make_client(std::shared_ptr<const Context> context, int fd, const std::string& host);
  ~Session();

  Progress handshake();
  /// After the handshake: up to `size` bytes; `done` of them with kDone. With room for 16 KiB, a read leaves nothing
  /// behind that the socket does not show. A write that wanted is repeated with the same bytes, more may follow them.
  Progress read(char* bytes, size_t size, size_t& done);
  Progress write(const char* bytes, size_t size, size_t& done);
  /// Tell the peer that nothing follows; best effort, never after kFailed.
  void close();

  /// For people: "http request", "certificate verify failed". Empty: the peer has just gone.
  const std::string& failure() const { return failure_; }

 private:
  Session(std::shared_ptr<const Context> context, int fd);
  Progress after(int result);

  const std::shared_ptr<const Context> context_;
  SSL* ssl_;
  std::string failure_;
};

/// Make sessions of `context` fail when the peer begins a second handshake; OpenSSL alone would answer it for ever.
void watch_renegotiation(SSL_CTX* context);

}  // namespace vllm::tls
