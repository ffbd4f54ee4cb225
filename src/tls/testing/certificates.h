#pragma once
// Certificates made on the spot, for tests.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace vllm::tls::testing {

struct Identity {
  EVP_PKEY* key = nullptr;
  X509* certificate = nullptr;
  Identity(EVP_PKEY* k, X509* c) : key(k), certificate(c) {}
  Identity(const Identity&) = delete;
  ~Identity() {
    EVP_PKEY_free(key);
    X509_free(certificate);
  }
  std::string certificate_pem() const {
    return text_of([&](BIO* bio) { PEM_write_bio_X509(bio, certificate); });
  }
  std::string key_pem(const char* passphrase = nullptr) const {
    return text_of([&](BIO* bio) {
      PEM_write_bio_PrivateKey(bio, key, passphrase ? EVP_aes_128_cbc() : nullptr, nullptr, 0, nullptr,
                               const_cast<char*>(passphrase));
    });
  }

 private:
  template <typename Write>
  static std::string text_of(Write write) {
    BIO* bio = BIO_new(BIO_s_mem());
    write(bio);
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio, &bytes);
    std::string out(bytes, static_cast<size_t>(size));
    BIO_free(bio);
    return out;
  }
};

/// A certificate for `name` (also "localhost" and 127.0.0.1), signed by `issuer` or by itself; `days` from now on.
inline Identity make_identity(const std::string& name, const Identity* issuer = nullptr, int days = 1) {
  static long serial = 0;
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3L * 86400);
  X509_gmtime_adj(X509_getm_notAfter(certificate), days * 86400L);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate, X509_get_subject_name(issuer ? issuer->certificate : certificate));
  X509_set_pubkey(certificate, key);
  const std::string names = "DNS:localhost,IP:127.0.0.1";
  for (auto [nid, value] : {std::pair{NID_subject_alt_name, names.c_str()},
                            std::pair{NID_basic_constraints, issuer ? "CA:FALSE" : "critical,CA:TRUE"}}) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }
  X509_sign(certificate, issuer ? issuer->key : key, EVP_sha256());
  return {key, certificate};
}

/// A folder that goes with the test.
class Folder {
 public:
  explicit Folder(const std::string& name)
      : path_(std::filesystem::temp_directory_path() / (name + "." + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string write(const std::string& name, const std::string& text) const {
    // A file that is replaced gets another inode, as by certbot or `mv`.
    std::ofstream(path_ / (name + ".new"), std::ios::binary) << text;
    std::filesystem::rename(path_ / (name + ".new"), path_ / name);
    return (path_ / name).string();
  }
  std::string path(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace vllm::tls::testing
