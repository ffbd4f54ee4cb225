#pragma once
// API keys.
#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http.h"

namespace vllm::server {

/// Compares `Authorization: Bearer KEY` with every key by SHA-256 digest, in constant time.
class Auth {
 public:
  explicit Auth(const std::vector<std::string>& keys);
  /// Whether any key is set at all.
  bool required() const { return !digests_.empty(); }
  bool allows(std::string_view authorization) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  std::vector<Digest> digests_;
};

/// Read without a key: probes, the metrics, the chat page and its files (they ask for the key themselves).
bool is_public_path(std::string_view path);

}  // namespace vllm::server
