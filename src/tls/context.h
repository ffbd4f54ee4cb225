#pragma once
// What connections share: certificate, key, whom to trust, protocol rules. Immutable, so usable from any thread.
#include <memory>
#include <string>

#include "base/result.h"

typedef struct ssl_ctx_st SSL_CTX;  // OpenSSL's

namespace vllm::tls {

/// Which clients must show a certificate; the numbers are those of Python's ssl module and of --ssl-cert-reqs.
enum class ClientCertificates { kNone = 0, kOptional = 1, kRequired = 2 };

/// The flags of a server, --ssl-...; paths of PEM files.
struct ServerSettings {
  std::string certfile = {};  // the server's certificate, then those between it and the root
  std::string keyfile = {};   // empty: the key is in certfile too
  std::string ca_certs = {};  // whom client certificates must be signed by
  ClientCertificates cert_reqs = ClientCertificates::kNone;
  std::string ciphers = {};  // OpenSSL's list for TLS 1.2; those of 1.3 are not a choice
};

class Context {
 public:
  /// TLS 1.2 and up, no renegotiation, no compression. Errors name the flag whose file can't be used, and what to do.
  /// A client that shows the server's own certificate is let in whatever signed it: it holds the server's key (`vllm
  /// health`).
  static Result<std::shared_ptr<const Context>> make_server(const ServerSettings& settings);
  /// `verify`: the server must show a certificate of its name that a root of this system (SSL_CERT_FILE) vouches for.
  static Result<std::shared_ptr<const Context>> make_client(bool verify);
  Context(const Context&) = delete;
  ~Context();

  SSL_CTX* get() const { return context_; }
  bool verifies_names() const { return verifies_names_; }

 private:
  Context(SSL_CTX* context, bool verifies_names) : context_(context), verifies_names_(verifies_names) {}
  SSL_CTX* const context_;
  const bool verifies_names_;
};

}  // namespace vllm::tls
