#pragma once
// HTTP downloads over libcurl: redirects followed here, so that a token never travels to another host.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace vllm {

struct HttpSettings {
  std::chrono::milliseconds connect_timeout{10'000};
  std::chrono::seconds stall_timeout{30};  // give up when no byte arrives for so long
  std::string ca_file;                     // certificates to trust; empty: the system's
  const std::atomic<bool>* cancelled = nullptr;
  const std::atomic<bool>* stopped = nullptr;  // a second such flag
  bool is_cancelled() const { return (cancelled && cancelled->load()) || (stopped && stopped->load()); }
};
/// From HF_HUB_ETAG_TIMEOUT, HF_HUB_DOWNLOAD_TIMEOUT (seconds), REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE.
HttpSettings http_settings_from_env();

struct HttpRequest {
  std::string url;
  bool head = false;
  std::string token = {};             // sent to the URL's own origin only
  uint64_t first_byte = 0;            // > 0: ask for the rest from here (Range)
  bool follow_to_other_hosts = true;  // false: a redirect to another origin is returned as it is
};

struct HttpResponse {
  long status = 0;
  std::map<std::string, std::string, std::less<>> headers;  // names in lower case
  std::string body;                                         // unless it went to a sink
  std::string_view header(std::string_view name) const {
    auto found = headers.find(name);
    return found == headers.end() ? std::string_view() : std::string_view(found->second);
  }
};

/// Takes the body of a 2xx answer piece by piece; an error ends the transfer and is what fetch returns.
using BodySink = std::function<Status(const HttpResponse& head, std::string_view bytes)>;

/// One connection at a time; one thread at a time.
class HttpClient {
 public:
  explicit HttpClient(HttpSettings settings);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// The answer, whatever its status. kUnavailable: the network failed, trying again may help; kCancelled;
  /// kInvalidArgument: trying again is useless (no such scheme, bad certificate, more than `max_body_bytes`, too many
  /// redirects).
  Result<HttpResponse> fetch(const HttpRequest& request, size_t max_body_bytes);
  Result<HttpResponse> fetch(const HttpRequest& request, const BodySink& sink);

 private:
  struct Transfer;
  Result<HttpResponse> follow(const HttpRequest& request, size_t max_body_bytes, const BodySink* sink);
  Result<HttpResponse> perform(const HttpRequest& request, size_t max_body_bytes, const BodySink* sink);

  HttpSettings settings_;
  void* curl_ = nullptr;
};

/// The absolute address of `location` as seen from `base`, and whether scheme, host and port stay the same.
struct RedirectTarget {
  std::string url;
  bool same_origin = false;
};
Result<RedirectTarget> resolve_redirect(const std::string& base, const std::string& location);

}  // namespace vllm
