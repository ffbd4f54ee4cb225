#include "tls/context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <span>

#include "base/log.h"
#include "tls/pem.h"
#include "tls/session.h"

namespace vllm::tls {
namespace {

using NewContext = std::unique_ptr<SSL_CTX, Freer<SSL_CTX_free>>;

// A client with the server's own certificate has the server's key; any other is checked as usual.
int verify_client(X509_STORE_CTX* store, void* own_certificate) {
  X509* shown = X509_STORE_CTX_get0_cert(store);
  if (shown && X509_cmp(shown, static_cast<X509*>(own_certificate)) == 0) {
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
  }
  return X509_verify_cert(store);
}

Result<NewContext> new_context(const SSL_METHOD* method) {
  ERR_clear_error();
  NewContext context(SSL_CTX_new(method));
  if (!context) return error(ErrorCode::kInternal, "OpenSSL does not start: {}", openssl_error());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  // Partial writes show a slow reader's progress; buffers are kept only while they hold something. Without retries, a
  // peer that sends records without data gets no more of the thread than one that sends some.
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_clear_mode(context.get(), SSL_MODE_AUTO_RETRY);
  watch_renegotiation(context.get());
  return context;
}

void warn_of_dates(const std::string& path, const X509* certificate) {
  if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
    LOG_WARNING("--ssl-certfile {}: the certificate has expired; clients will refuse it", path);
  else if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
    LOG_WARNING("--ssl-certfile {}: the certificate is not valid yet; clients will refuse it", path);
}

Status set_certificate(SSL_CTX* context, const ServerSettings& settings) {
  if (settings.certfile.empty()) {
    const char* flag = !settings.keyfile.empty()    ? "--ssl-keyfile"
                       : !settings.ca_certs.empty() ? "--ssl-ca-certs"
                                                    : "--ssl-cert-reqs";
    return invalid_argument("{} needs --ssl-certfile: without a certificate of its own the server speaks plain HTTP",
                            flag);
  }
  ASSIGN_OR_RETURN(const std::string pem, read_pem_file("ssl-certfile", settings.certfile));
  ASSIGN_OR_RETURN(const std::vector<Certificate> chain, parse_certificates("ssl-certfile", settings.certfile, pem));
  PrivateKey key;
  if (settings.keyfile.empty()) {
    auto inside = parse_private_key("ssl-certfile", settings.certfile, pem);
    if (!inside) {
      Error failure = std::move(inside).error();
      failure.message += ". A key in a file of its own is named with --ssl-keyfile.";
      return failure;
    }
    key = std::move(*inside);
  } else {
    ASSIGN_OR_RETURN(const std::string key_pem, read_pem_file("ssl-keyfile", settings.keyfile));
    ASSIGN_OR_RETURN(key, parse_private_key("ssl-keyfile", settings.keyfile, key_pem));
  }
  if (SSL_CTX_use_certificate(context, chain[0].get()) != 1)
    return invalid_argument("--ssl-certfile {}: the certificate can't be used: {}", settings.certfile, openssl_error());
  if (X509_check_private_key(chain[0].get(), key.get()) != 1) {
    ERR_clear_error();
    return invalid_argument(
        "--ssl-keyfile {} is not the key of the first certificate in --ssl-certfile {}: name the two that were made "
        "together (the server's own certificate comes first in its file)",
        settings.keyfile.empty() ? settings.certfile : settings.keyfile, settings.certfile);
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1)
    return invalid_argument("--ssl-keyfile {}: the key can't be used: {}", settings.keyfile, openssl_error());
  for (const Certificate& certificate : std::span(chain).subspan(1)) {
    if (SSL_CTX_add1_chain_cert(context, certificate.get()) != 1)
      return invalid_argument("--ssl-certfile {}: its chain can't be used: {}", settings.certfile, openssl_error());
  }
  warn_of_dates(settings.certfile, chain[0].get());
  return {};
}

Status set_client_rules(SSL_CTX* context, const ServerSettings& settings) {
  if (!settings.ca_certs.empty()) {
    ASSIGN_OR_RETURN(const std::string pem, read_pem_file("ssl-ca-certs", settings.ca_certs));
    ASSIGN_OR_RETURN(const std::vector<Certificate> roots, parse_certificates("ssl-ca-certs", settings.ca_certs, pem));
    for (const Certificate& root : roots) {
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context), root.get());
      SSL_CTX_add_client_CA(context, root.get());  // tells browsers which of their certificates to offer
    }
    ERR_clear_error();
  }
  if (settings.cert_reqs == ClientCertificates::kNone) return {};
  const int number = static_cast<int>(settings.cert_reqs);
  if (settings.ca_certs.empty()) {
    return invalid_argument("--ssl-cert-reqs {} needs --ssl-ca-certs: the certificates that clients' must be signed by",
                            number);
  }
  const bool required = settings.cert_reqs == ClientCertificates::kRequired;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
  SSL_CTX_set_cert_verify_callback(context, verify_client, SSL_CTX_get0_certificate(context));
  return {};
}

}  // namespace

Result<std::shared_ptr<const Context>> Context::make_server(const ServerSettings& settings) {
  ASSIGN_OR_RETURN(NewContext context, new_context(TLS_server_method()));
  RETURN_IF_ERROR(set_certificate(context.get(), settings));
  RETURN_IF_ERROR(set_client_rules(context.get(), settings));
  if (!settings.ciphers.empty() && SSL_CTX_set_cipher_list(context.get(), settings.ciphers.c_str()) != 1) {
    ERR_clear_error();
    return invalid_argument("--ssl-ciphers {}: OpenSSL knows no such cipher; `openssl ciphers` lists them",
                            settings.ciphers);
  }
  // Names our sessions; without it a client that verifies and resumes would be refused.
  const unsigned char name[] = "vllm";
  SSL_CTX_set_session_id_context(context.get(), name, sizeof name - 1);
  return std::shared_ptr<const Context>(new Context(context.release(), false));
}

Result<std::shared_ptr<const Context>> Context::make_client(bool verify) {
  ASSIGN_OR_RETURN(NewContext context, new_context(TLS_client_method()));
  if (verify) {
    SSL_CTX_set_default_verify_paths(context.get());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  }
  ERR_clear_error();
  return std::shared_ptr<const Context>(new Context(context.release(), verify));
}

Context::~Context() { SSL_CTX_free(context_); }

}  // namespace vllm::tls
