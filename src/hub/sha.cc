#include "hub/sha.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>

#include "base/check.h"

namespace vllm {

void Digest::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Digest::Digest(const char* algorithm) : context_(EVP_MD_CTX_new()) {
  CHECK(context_ != nullptr);
  CHECK(EVP_DigestInit_ex(context_.get(), EVP_get_digestbyname(algorithm), nullptr) == 1);
}

Digest Digest::sha256() { return Digest("SHA256"); }

Digest Digest::git_blob(uint64_t size) {
  Digest digest("SHA1");
  std::string head = fmt::format("blob {}", size);
  digest.update(std::string_view(head.c_str(), head.size() + 1));
  return digest;
}

void Digest::update(std::string_view bytes) {
  CHECK(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

std::string Digest::hex() {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  CHECK(EVP_DigestFinal_ex(context_.get(), bytes, &size) == 1);
  std::string text;
  for (unsigned i = 0; i < size; ++i) text += fmt::format("{:02x}", bytes[i]);
  return text;
}

std::optional<Digest> digest_of_etag(std::string_view etag, std::optional<uint64_t> size) {
  bool hex =
      std::all_of(etag.begin(), etag.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  if (hex && etag.size() == 64) return Digest::sha256();
  if (hex && etag.size() == 40 && size) return Digest::git_blob(*size);
  return std::nullopt;
}

}  // namespace vllm
