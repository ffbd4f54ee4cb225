#include "server/auth.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>

namespace vllm::server {
namespace {

constexpr std::string_view kPublicPaths[] = {"/health", "/ping", "/version", "/metrics", "/"};

std::array<unsigned char, 32> sha256(std::string_view text) {
  std::array<unsigned char, 32> digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

}  // namespace

Auth::Auth(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    if (!key.empty()) digests_.push_back(sha256(key));
  }
}

bool Auth::allows(std::string_view authorization) const {
  if (digests_.empty()) return true;
  size_t blank = authorization.find(' ');
  if (blank == std::string_view::npos || !equals_ignoring_case(authorization.substr(0, blank), "bearer")) return false;
  const Digest given = sha256(authorization.substr(blank + 1));
  unsigned matches = 0;
  for (const Digest& digest : digests_) matches += CRYPTO_memcmp(digest.data(), given.data(), digest.size()) == 0;
  return matches != 0;
}

bool is_public_path(std::string_view path) {
  return std::ranges::find(kPublicPaths, path) != std::end(kPublicPaths) || path.starts_with("/ui/");
}

}  // namespace vllm::server
