#include "hub/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <strings.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <mutex>

#include "base/env.h"

namespace vllm {
namespace {

constexpr size_t kMaxHeaderBytes = 256 << 10;
constexpr size_t kMaxErrorBody = 64 << 10;
constexpr int kMaxRedirects = 10;

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

std::string part_of(const Url& url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url.get(), part, &text, flags) != CURLUE_OK) return {};
  std::string copy(text);
  curl_free(text);
  return copy;
}

Result<Url> parse_url(const std::string& text) {
  Url url(curl_url());
  if (!url || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK)
    return invalid_argument("\"{}\" is no web address", text);
  std::string scheme = part_of(url, CURLUPART_SCHEME);
  if (scheme != "http" && scheme != "https") return invalid_argument("\"{}\" is no http or https address", text);
  return url;
}

std::string origin_of(const Url& url) {
  std::string host = part_of(url, CURLUPART_HOST);
  std::transform(host.begin(), host.end(), host.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return part_of(url, CURLUPART_SCHEME) + "://" + host + ":" + part_of(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

std::chrono::seconds seconds_from_env(const char* name, int otherwise) {
  auto text = env(name);
  int value = otherwise;
  if (text) std::from_chars(text->data(), text->data() + text->size(), value);
  return std::chrono::seconds(std::clamp(value, 1, 3600));
}

std::string_view trim(std::string_view text) {
  auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

bool is_transient(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_WEIRD_SERVER_REPLY: return true;
    default: return false;
  }
}

}  // namespace

/// What curl's callbacks see of one exchange. They never throw: strings of bounded size, and a sink that returns
/// errors.
struct HttpClient::Transfer {
  CURL* curl;
  const HttpSettings& settings;
  size_t max_body_bytes;
  const BodySink* sink;
  HttpResponse response;
  size_t header_bytes = 0;
  Status failure;
  bool failed = false;
  // libcurl's own low-speed limit averages over several seconds; this one looks at when the last byte came.
  std::chrono::steady_clock::time_point last_byte = std::chrono::steady_clock::now();
  curl_off_t bytes_seen = 0;

  size_t fail(Error error) {
    failure = Status(std::move(error));
    failed = true;
    return 0;  // less than what was offered: curl ends the transfer
  }

  static size_t on_header(char* data, size_t, size_t size, void* self) {
    auto& t = *static_cast<Transfer*>(self);
    std::string_view line(data, size);
    t.header_bytes += size;
    t.last_byte = std::chrono::steady_clock::now();
    if (t.header_bytes > kMaxHeaderBytes)
      return t.fail(invalid_argument("the answer's headers are longer than {} bytes", kMaxHeaderBytes));
    if (line.starts_with("HTTP/")) {  // also after "100 Continue" and a proxy's own answer
      t.response.headers.clear();
      return size;
    }
    if (size_t colon = line.find(':'); colon != line.npos) {
      std::string name(trim(line.substr(0, colon)));
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      t.response.headers[name] = trim(line.substr(colon + 1));
    }
    return size;
  }

  static size_t on_body(char* data, size_t, size_t size, void* self) {
    auto& t = *static_cast<Transfer*>(self);
    curl_easy_getinfo(t.curl, CURLINFO_RESPONSE_CODE, &t.response.status);
    bool success = t.response.status >= 200 && t.response.status < 300;
    if (success && t.sink) {
      Status taken = (*t.sink)(t.response, {data, size});
      return taken ? size : t.fail(std::move(taken).error());
    }
    size_t room = (success ? t.max_body_bytes : kMaxErrorBody) - t.response.body.size();
    if (success && size > room) return t.fail(invalid_argument("the answer is longer than {} bytes", t.max_body_bytes));
    t.response.body.append(data, std::min(size, room));
    return size;
  }

  static int on_progress(void* self, curl_off_t, curl_off_t received, curl_off_t,
                         curl_off_t) {  // at least once a second
    auto& t = *static_cast<Transfer*>(self);
    if (t.settings.is_cancelled()) return 1;
    auto now = std::chrono::steady_clock::now();
    if (received != t.bytes_seen) {
      t.bytes_seen = received;
      t.last_byte = now;
    }
    auto limit =
        t.settings.stall_timeout + (t.header_bytes == 0 ? t.settings.connect_timeout : std::chrono::milliseconds(0));
    if (now - t.last_byte <= limit) return 0;
    t.fail(error(ErrorCode::kUnavailable, "no byte came for {} s",
                 std::chrono::duration_cast<std::chrono::seconds>(limit).count()));
    return 1;
  }
};

HttpSettings http_settings_from_env() {
  HttpSettings settings;
  settings.connect_timeout = seconds_from_env("HF_HUB_ETAG_TIMEOUT", 10);
  settings.stall_timeout = seconds_from_env("HF_HUB_DOWNLOAD_TIMEOUT", 30);
  for (const char* name : {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"}) {
    if (auto file = env(name); file && settings.ca_file.empty()) settings.ca_file = *file;
  }
  if (settings.ca_file
          .empty()) {  // libcurl knows the path of the distribution it was built for; elsewhere it is another
    for (const char* file : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                             "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"}) {
      std::error_code ignored;
      if (settings.ca_file.empty() && std::filesystem::exists(file, ignored)) settings.ca_file = file;
    }
  }
  return settings;
}

Result<RedirectTarget> resolve_redirect(const std::string& base, const std::string& location) {
  ASSIGN_OR_RETURN(Url url, parse_url(base));
  std::string from = origin_of(url), from_scheme = part_of(url, CURLUPART_SCHEME);
  if (curl_url_set(url.get(), CURLUPART_URL, location.c_str(), 0) != CURLUE_OK) {
    return invalid_argument("redirected to \"{}\", which is no web address", location);
  }
  std::string scheme = part_of(url, CURLUPART_SCHEME);
  if (scheme != "https" && (scheme != "http" || from_scheme == "https")) {
    return invalid_argument("refused a redirect from {} to \"{}\"", from_scheme, location);
  }
  return RedirectTarget{part_of(url, CURLUPART_URL), origin_of(url) == from};
}

HttpClient::HttpClient(HttpSettings settings) : settings_(std::move(settings)) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  curl_ = curl_easy_init();
}

HttpClient::~HttpClient() { curl_easy_cleanup(curl_); }

Result<HttpResponse> HttpClient::fetch(const HttpRequest& request, size_t max_body_bytes) {
  return follow(request, max_body_bytes, nullptr);
}

Result<HttpResponse> HttpClient::fetch(const HttpRequest& request, const BodySink& sink) {
  return follow(request, 0, &sink);
}

Result<HttpResponse> HttpClient::follow(const HttpRequest& request, size_t max_body_bytes, const BodySink* sink) {
  HttpRequest hop = request;
  for (int i = 0; i <= kMaxRedirects; ++i) {
    ASSIGN_OR_RETURN(HttpResponse response, perform(hop, max_body_bytes, sink));
    bool redirect = response.status >= 300 && response.status < 400 && response.status != 304;
    if (!redirect || response.header("location").empty()) return response;
    ASSIGN_OR_RETURN(RedirectTarget target, resolve_redirect(hop.url, std::string(response.header("location"))));
    if (!target.same_origin) {
      if (!request.follow_to_other_hosts) return response;
      hop.token.clear();
    }
    hop.url = target.url;
  }
  return invalid_argument("more than {} redirects from {}", kMaxRedirects, request.url);
}

Result<HttpResponse> HttpClient::perform(const HttpRequest& request, size_t max_body_bytes, const BodySink* sink) {
  if (!curl_) return error(ErrorCode::kResourceExhausted, "libcurl could not start");
  ASSIGN_OR_RETURN(Url url, parse_url(request.url));
  CURL* curl = static_cast<CURL*>(curl_);
  curl_easy_reset(curl);
  Transfer transfer{.curl = curl,
                    .settings = settings_,
                    .max_body_bytes = max_body_bytes,
                    .sink = sink,
                    .response = {},
                    .failure = {}};
  char reason[CURL_ERROR_SIZE] = "";
  curl_slist* list = curl_slist_append(nullptr, "Accept-Encoding: identity");
  if (!request.token.empty()) list = curl_slist_append(list, ("Authorization: Bearer " + request.token).c_str());
  HeaderList headers(list);

  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "vllm.cpp");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_NOBODY, request.head ? 1L : 0L);
  if (request.first_byte > 0) curl_easy_setopt(curl, CURLOPT_RANGE, fmt::format("{}-", request.first_byte).c_str());
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings_.connect_timeout.count()));
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  if (!settings_.ca_file.empty()) curl_easy_setopt(curl, CURLOPT_CAINFO, settings_.ca_file.c_str());
  // libcurl reads the proxy variables itself, except HTTP_PROXY in capitals, which Python's clients honour.
  auto proxy = env("HTTP_PROXY");
  if (proxy && !env("http_proxy") && part_of(url, CURLUPART_SCHEME) == "http")
    curl_easy_setopt(curl, CURLOPT_PROXY, proxy->c_str());

  CURLcode code = settings_.is_cancelled() ? CURLE_ABORTED_BY_CALLBACK : curl_easy_perform(curl);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &transfer.response.status);
  std::string host = part_of(url, CURLUPART_HOST);
  if (transfer.failed) {
    Error failure = std::move(transfer.failure).error();
    if (failure.code == ErrorCode::kUnavailable) failure.message = host + ": " + failure.message;
    return failure;
  }
  if (code == CURLE_OK) return std::move(transfer.response);
  if (code == CURLE_ABORTED_BY_CALLBACK) return error(ErrorCode::kCancelled, "cancelled");
  std::string text = *reason ? reason : curl_easy_strerror(code);
  if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE) {
    return invalid_argument(
        "{}: {}. Install the package ca-certificates, or name your own authority's file in SSL_CERT_FILE", host, text);
  }
  return error(is_transient(code) ? ErrorCode::kUnavailable : ErrorCode::kInvalidArgument, "{}: {}", host, text);
}

}  // namespace vllm
