#pragma once
// Paths of request targets.
#include <string>
#include <string_view>

namespace vllm::server {

struct Target {
  std::string path;    // percent-decoded, root path stripped: may hold any byte
  std::string query;   // as sent
  std::string logged;  // path and query as uvicorn logs them: path re-quoted
};

/// Split and decode a request target: origin form, absolute form ("http://host/x") or anything else as it is.
/// `root_path` is taken off a path that starts with it.
Target parse_target(std::string_view target, std::string_view root_path);

/// %41 → A; malformed escapes stay as they are.
std::string percent_decode(std::string_view text);
/// Python's urllib.parse.quote with "/" and `safe` kept.
std::string percent_quote(std::string_view text, std::string_view safe = "/");

}  // namespace vllm::server
