#include "tls/pem.h"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace vllm::tls {
namespace {

constexpr off_t kMaxBytes = off_t{16} << 20;
using Bio = std::unique_ptr<BIO, Freer<BIO_free_all>>;

struct File {
  int fd;
  ~File() {
    if (fd >= 0) ::close(fd);
  }
};

Error cannot_read(std::string_view flag, const std::string& path, int reason) {
  if (reason == ENOENT || reason == ENOTDIR) {
    return error(ErrorCode::kNotFound, "--{} {}: there is no such file. In a container, mount it there with -v.", flag,
                 path);
  }
  if (reason == EACCES || reason == EPERM) {
    return error(ErrorCode::kPermissionDenied,
                 "--{} {}: the server runs as user {} and may not read it. Give that user the right, or run the server "
                 "as the file's owner.",
                 flag, path, ::geteuid());
  }
  return invalid_argument("--{} {}: cannot be read: {}", flag, path, std::strerror(reason));
}

Bio bio_of(std::string_view text) { return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))); }

// Asked for a passphrase: the key is encrypted.
int note_passphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}
int no_passphrase(char*, int, int, void*) { return -1; }

}  // namespace

std::string openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return reason ? reason : code != 0 && ERR_SYSTEM_ERROR(code) ? std::strerror(ERR_GET_REASON(code)) : "unknown error";
}

Result<std::string> read_pem_file(std::string_view flag, const std::string& path) {
  File file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};  // a pipe must not hold the server up
  if (file.fd < 0) return cannot_read(flag, path, errno);
  struct stat info{};
  if (::fstat(file.fd, &info) != 0) return cannot_read(flag, path, errno);
  if (!S_ISREG(info.st_mode)) return invalid_argument("--{} {}: no regular file; expected a PEM file", flag, path);
  if (info.st_size > kMaxBytes) return invalid_argument("--{} {}: too large for a PEM file", flag, path);
  std::string text(static_cast<size_t>(info.st_size), '\0');
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t got = ::read(file.fd, text.data() + done, text.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return cannot_read(flag, path, errno);
    if (got == 0) break;
    done += static_cast<size_t>(got);
  }
  text.resize(done);
  return text;
}

Result<std::vector<Certificate>> parse_certificates(std::string_view flag, const std::string& path,
                                                    std::string_view pem) {
  std::vector<Certificate> out;
  ERR_clear_error();
  Bio bio = bio_of(pem);
  while (X509* certificate = bio ? PEM_read_bio_X509_AUX(bio.get(), nullptr, no_passphrase, nullptr) : nullptr) {
    out.emplace_back(certificate);
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!at_end) {
    return invalid_argument("--{} {}: certificate {} in it is damaged ({})", flag, path, out.size() + 1,
                            openssl_error());
  }
  ERR_clear_error();
  if (out.empty()) {
    return invalid_argument("--{} {}: holds no certificate; expected PEM text with -----BEGIN CERTIFICATE-----", flag,
                            path);
  }
  return out;
}

Result<PrivateKey> parse_private_key(std::string_view flag, const std::string& path, std::string_view pem) {
  bool encrypted = false;
  ERR_clear_error();
  Bio bio = bio_of(pem);
  PrivateKey key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, note_passphrase, &encrypted) : nullptr);
  if (key) return key;
  const bool absent = pem.find("PRIVATE KEY-----") == std::string_view::npos;
  const std::string reason = openssl_error();
  if (encrypted) {
    return invalid_argument(
        "--{} {}: the key is encrypted, and the server has nobody to ask for the passphrase. Write it without one: "
        "openssl pkey -in {} -out plain.key",
        flag, path, path);
  }
  if (absent) {
    return invalid_argument("--{} {}: holds no private key; expected PEM text with -----BEGIN PRIVATE KEY-----", flag,
                            path);
  }
  return invalid_argument("--{} {}: the private key in it is damaged ({})", flag, path, reason);
}

}  // namespace vllm::tls
