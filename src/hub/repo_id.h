#pragma once
// Names that come from users and hubs, checked before they become paths or addresses.
#include <string>
#include <string_view>

#include "base/result.h"

namespace vllm {

/// What a user means by a model's name: "org/name", "org/name:Q4_K_M" or "org/name/folder/file.gguf".
struct ModelSpec {
  std::string repo_id;
  std::string quant;  // of a GGUF repository; empty if none was named
  std::string file;   // of a GGUF repository; empty if none was named
};

/// kInvalidArgument says what a hub id may look like.
Result<ModelSpec> parse_model_spec(std::string_view model);

/// A file of a repository: a relative path with forward slashes that stays inside its folder, of printable characters.
bool is_safe_repo_path(std::string_view path);

/// A commit: 40 lower-case hex digits.
bool is_commit_hash(std::string_view text);

/// `path` for a URL: everything but unreserved characters and '/' as %XX; '/' too if `keep_slashes` is false.
std::string percent_encode(std::string_view path, bool keep_slashes);

}  // namespace vllm
