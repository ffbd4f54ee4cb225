#pragma once
// CORS as Starlette's middleware does it (the answers' texts are its too), with our own default: without a flag,
// loopback origins and "null" (a page opened from a file) are allowed.
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serve/http.h"
#include "server/options.h"

namespace vllm::server {

class Cors {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;
  explicit Cors(const ServerOptions& options);
  bool allows_origin(std::string_view origin) const;
  /// The answer to a preflight (OPTIONS with Origin and Access-Control-Request-Method); nullopt for other requests.
  std::optional<serve::HttpResponse> preflight(const serve::HttpRequest& request) const;
  /// Headers for the answer to any other request, errors included.
  Headers answer_headers(const serve::HttpRequest& request) const;

 private:
  bool all_origins_ = false, all_headers_ = false, loopback_ = false, credentials_ = false;
  std::vector<std::string> origins_, methods_, headers_;  // headers_ in lower case
  std::string methods_text_, headers_text_;
};

}  // namespace vllm::server
