#include "server/cors.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <set>

namespace vllm::server {
namespace {

constexpr std::string_view kAllMethods[] = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY"};
constexpr std::string_view kSafeHeaders[] = {"Accept", "Accept-Language", "Content-Language", "Content-Type"};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
  }
  return out;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool has(const std::vector<std::string>& list, std::string_view item) {
  return std::ranges::find(list, item) != list.end();
}

// http(s)://localhost, *.localhost, 127.x.y.z or [::1], with any port. "http://localhost.evil.example" is none.
bool is_loopback_origin(std::string_view origin) {
  if (origin == "null") return true;
  if (origin.starts_with("http://"))
    origin.remove_prefix(7);
  else if (origin.starts_with("https://"))
    origin.remove_prefix(8);
  else
    return false;
  size_t colon = origin.rfind(':');
  if (colon != std::string_view::npos && origin.find(']', colon) == std::string_view::npos) {
    std::string_view port = origin.substr(colon + 1);
    if (port.empty() || port.find_first_not_of("0123456789") != std::string_view::npos) return false;
    origin = origin.substr(0, colon);
  }
  if (origin == "localhost" || origin == "[::1]") return true;
  if (origin.ends_with(".localhost")) return true;  // RFC 6761: resolves to loopback
  return origin.starts_with("127.") && origin.find_first_not_of("0123456789.") == std::string_view::npos;
}

}  // namespace

Cors::Cors(const ServerOptions& options)
    : loopback_(!options.cors_flag_given), credentials_(options.allow_credentials) {
  if (options.cors_flag_given) origins_ = options.allowed_origins;
  all_origins_ = has(origins_, "*");
  methods_ = options.allowed_methods;
  if (has(methods_, "*")) methods_.assign(std::begin(kAllMethods), std::end(kAllMethods));
  methods_text_ = fmt::format("{}", fmt::join(methods_, ", "));
  all_headers_ = has(options.allowed_headers, "*");
  std::set<std::string> names(std::begin(kSafeHeaders), std::end(kSafeHeaders));
  for (const std::string& name : options.allowed_headers) names.insert(name);
  headers_text_ = fmt::format("{}", fmt::join(names, ", "));
  for (const std::string& name : names) headers_.push_back(lower(name));
}

bool Cors::allows_origin(std::string_view origin) const {
  return all_origins_ || has(origins_, origin) || (loopback_ && is_loopback_origin(origin));
}

std::optional<serve::HttpResponse> Cors::preflight(const serve::HttpRequest& request) const {
  const std::string& origin = request.header("origin");
  const std::string& method = request.header("access-control-request-method");
  if (request.method != "OPTIONS" || origin.empty() || method.empty()) return std::nullopt;
  serve::HttpResponse out;
  out.content_type = "text/plain; charset=utf-8";
  std::vector<std::string_view> failures;
  const bool explicit_origin = !all_origins_ || credentials_;
  if (explicit_origin) out.headers.emplace_back("Vary", "Origin");
  if (!allows_origin(origin))
    failures.push_back("origin");
  else
    out.headers.emplace_back("Access-Control-Allow-Origin", explicit_origin ? origin : "*");
  if (!has(methods_, method)) failures.push_back("method");
  const std::string& wanted = request.header("access-control-request-headers");
  if (!all_headers_) {
    for (std::string_view rest = wanted; !rest.empty();) {
      size_t comma = std::min(rest.find(','), rest.size());
      if (!has(headers_, lower(trim(rest.substr(0, comma))))) {
        failures.push_back("headers");
        break;
      }
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  out.headers.emplace_back("Access-Control-Allow-Methods", methods_text_);
  out.headers.emplace_back("Access-Control-Max-Age", "600");
  if (!all_headers_)
    out.headers.emplace_back("Access-Control-Allow-Headers", headers_text_);
  else if (!wanted.empty())
    out.headers.emplace_back("Access-Control-Allow-Headers", wanted);
  if (credentials_) out.headers.emplace_back("Access-Control-Allow-Credentials", "true");
  out.status = failures.empty() ? 200 : 400;
  out.body = failures.empty() ? "OK" : fmt::format("Disallowed CORS {}", fmt::join(failures, ", "));
  return out;
}

Cors::Headers Cors::answer_headers(const serve::HttpRequest& request) const {
  Headers out;
  const std::string& origin = request.header("origin");
  if (origin.empty() || !allows_origin(origin)) return out;
  if (all_origins_ && !(credentials_ && !request.header("cookie").empty())) {
    out.emplace_back("Access-Control-Allow-Origin", "*");
  } else {
    out.emplace_back("Access-Control-Allow-Origin", origin);
    out.emplace_back("Vary", "Origin");
  }
  if (credentials_) out.emplace_back("Access-Control-Allow-Credentials", "true");
  return out;
}

}  // namespace vllm::server
