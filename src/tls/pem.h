#pragma once
// PEM files that flags name, into OpenSSL's objects.
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vllm::tls {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

/// The text of the file of --`flag`, 16 MiB at most. Errors name flag and path, and say what to do.
Result<std::string> read_pem_file(std::string_view flag, const std::string& path);
/// All certificates of `pem`, at least one.
Result<std::vector<Certificate>> parse_certificates(std::string_view flag, const std::string& path,
                                                    std::string_view pem);
/// The first private key. One behind a passphrase is an error: nobody is there to type it.
Result<PrivateKey> parse_private_key(std::string_view flag, const std::string& path, std::string_view pem);
/// OpenSSL's oldest error of this thread in words; clears them all.
std::string openssl_error();

}  // namespace vllm::tls
