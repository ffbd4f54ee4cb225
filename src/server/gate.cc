#include "server/gate.h"

#include <fmt/format.h>

#include "base/hash.h"
#include "server/response.h"
#include "server/url.h"

namespace vllm::server {
namespace {

// As uuid4().hex: 32 hexadecimal digits, here from one random key and a counter.
std::string new_request_id() {
  static const Hash128 key = random_key();
  static std::atomic<uint64_t> counter{0};
  const uint64_t number = counter.fetch_add(1);
  const Hash128 hash = siphash128(key, std::as_bytes(std::span(&number, 1)));
  return fmt::format("{:016x}{:016x}", hash.hi, hash.lo);
}

// FastAPI's redirect_slashes: the other spelling of the path, if that one is a route.
std::optional<serve::HttpResponse> redirect(const App& app, const serve::HttpRequest& request) {
  std::string other = request.path;
  if (other.size() < 2) return std::nullopt;
  if (other.back() == '/') {
    while (other.size() > 1 && other.back() == '/') other.pop_back();
  } else {
    other.push_back('/');
  }
  const RouteMatch match = match_route(app.routes, request.method, other, app.routes_off);
  if (!match.route && match.allow.empty()) return std::nullopt;
  const std::string& host = request.header("host");
  const std::string& forwarded = request.header("x-forwarded-proto");
  std::string location = percent_quote(app.options.root_path + other);
  // Absolute, as Starlette's; without a Host (HTTP/1.0) a path has to do. A proxy in front may know another scheme.
  if (!host.empty())
    location = fmt::format("{}://{}{}", forwarded == "https" || app.options.tls ? "https" : "http", host, location);
  if (!request.query.empty()) location += "?" + request.query;
  serve::HttpResponse out;
  out.status = 307;
  out.content_type.clear();
  out.headers.emplace_back("location", std::move(location));
  return out;
}

}  // namespace

Decision decide(const App& app, RequestHead head, std::string client) {
  Decision out;
  Target target = parse_target(head.target, app.options.root_path);
  out.logged_target = std::move(target.logged);
  out.metrics_handler = "none";
  serve::HttpRequest& request = out.request;
  request.method = std::move(head.method);
  request.path = std::move(target.path);
  request.query = std::move(target.query);
  request.headers = std::move(head.headers);
  request.client = std::move(client);
  if (request.path == "/health" && request.header("user-agent") == kHealthAgent) out.logged_target.clear();

  if (app.options.enable_request_id_headers) {
    const std::string& given = request.header("x-request-id");
    out.answer_headers.emplace_back("x-request-id", given.empty() ? new_request_id() : given);
  }
  if (auto preflight = app.cors.preflight(request)) {
    out.refusal = std::move(*preflight);
    return out;
  }
  for (auto& header : app.cors.answer_headers(request)) out.answer_headers.push_back(std::move(header));
  if (app.auth.required() && !is_public_path(request.path) && !app.auth.allows(request.header("authorization"))) {
    out.refusal.status = 401;
    out.refusal.body = R"({"error":"Unauthorized"})";
    return out;
  }
  RouteMatch match = match_route(app.routes, request.method, request.path, app.routes_off);
  if (!match.route) {
    if (!match.allow.empty()) {
      out.refusal = detail_response(405);
      out.refusal.headers.emplace_back("allow", match.allow);
    } else if (auto location = redirect(app, request)) {
      out.refusal = std::move(*location);
    } else {
      out.refusal = detail_response(404);
    }
    return out;
  }
  out.metrics_handler = match.route->path;
  if (match.route->flags & Route::kNeedsModel) {
    if (auto unavailable = unavailable_response(app)) {
      out.refusal = std::move(*unavailable);
      return out;
    }
  }
  if (head.content_length > app.options.max_body_bytes) {
    out.refusal = error_response(413, fmt::format("The body has {} bytes; at most {} are taken.", head.content_length,
                                                  app.options.max_body_bytes));
    return out;
  }
  out.route = match.route;
  return out;
}

}  // namespace vllm::server
