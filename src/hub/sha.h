#pragma once
// The two digests that hubs name files by.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace vllm {

class Digest {
 public:
  static Digest sha256();
  /// git's name of a file of `size` bytes: SHA-1 over "blob <size>\0" and the contents.
  static Digest git_blob(uint64_t size);

  void update(std::string_view bytes);
  /// The digest in lower-case hex. Call once, last.
  std::string hex();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  explicit Digest(const char* algorithm);
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

/// The digest that an etag of a hub stands for: 64 hex digits SHA-256, 40 git's; nullopt for any other text.
std::optional<Digest> digest_of_etag(std::string_view etag, std::optional<uint64_t> size);

}  // namespace vllm
