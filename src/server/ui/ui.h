#pragma once
// The built-in chat page: index.html at `/`, its script and style sheet under `/ui/`. Static bytes inside the binary;
// the page talks to /v1/models and /v1/chat/completions with relative URLs, so it works below a --root-path too.
#include <string_view>

namespace vllm::server {

/// Content-Security-Policy of the page and its files: own script, style and connections, nothing inline, nothing
/// foreign, no frames.
inline constexpr std::string_view kUiContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

struct UiFile {
  std::string_view path;  // of the request: "/", "/ui/app.js", "/ui/style.css"
  std::string_view content_type;
  std::string_view body;
};

/// The file served at a path; null if there is none. Send kUiContentSecurityPolicy, `X-Content-Type-Options: nosniff`
/// and `Cache-Control: no-cache` with it.
const UiFile* find_ui_file(std::string_view path);

}  // namespace vllm::server
