// Keys, CORS, paths and the route table: everything that is decided without a socket.
#include <gtest/gtest.h>

#include <set>

#include "api/openapi.h"
#include "base/json.h"
#include "server/auth.h"
#include "server/cors.h"
#include "server/response.h"
#include "server/routes.h"
#include "server/url.h"

namespace vllm::server {
namespace {

TEST(Url, DecodesAndQuotes) {
  EXPECT_EQ(percent_decode("/a%20b%2Fc%"), "/a b/c%");
  EXPECT_EQ(percent_decode("%4"), "%4");
  EXPECT_EQ(percent_decode("%4g%41"), "%4gA");
  EXPECT_EQ(percent_quote("/a b\"\n\xc3\xa9~"), "/a%20b%22%0A%C3%A9~");
}

TEST(Url, SplitsTargets) {
  auto t = parse_target("/a%62?x=%20&y", "");
  EXPECT_EQ(t.path, "/ab");
  EXPECT_EQ(t.query, "x=%20&y");
  EXPECT_EQ(t.logged, "/ab?x=%20&y");
  EXPECT_EQ(parse_target("https://h/x?y", "").path, "/x");
  EXPECT_EQ(parse_target("http://h", "").path, "/");
  EXPECT_EQ(parse_target("/api", "/api").path, "/");
  EXPECT_EQ(parse_target("/api/x", "/api").path, "/x");
  EXPECT_EQ(parse_target("/apix", "/api").path, "/apix");
  EXPECT_EQ(parse_target("*", "").path, "*");
  EXPECT_EQ(parse_target("", "").path, "");
}

TEST(Auth, ComparesWholeKeys) {
  Auth auth({"k1", "", "k2"});
  EXPECT_TRUE(auth.required());
  EXPECT_TRUE(auth.allows("Bearer k2"));
  EXPECT_TRUE(auth.allows("BEARER k1"));
  for (const char* bad : {"", "Bearer", "Bearer ", "Bearer k", "Bearer k1 ", "k1", "Bearerk1"})
    EXPECT_FALSE(auth.allows(bad)) << bad;
  EXPECT_FALSE(Auth({""}).required());
}

TEST(Cors, LoopbackAndNullByDefault) {
  Cors cors(ServerOptions{});
  for (const char* good : {"null", "http://localhost", "http://localhost:3000", "https://127.0.0.1:8443",
                           "http://[::1]:80", "http://[::1]", "http://app.localhost:5173"}) {
    EXPECT_TRUE(cors.allows_origin(good)) << good;
  }
  for (const char* bad :
       {"http://localhost.evil.example", "http://evil.example", "http://127.0.0.1.evil.example", "localhost",
        "http://localhost:80@evil.example", "http://localhost:", "file://", "http://192.168.0.1", ""}) {
    EXPECT_FALSE(cors.allows_origin(bad)) << bad;
  }
}

std::string find(const Cors::Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "-";
}

TEST(Cors, FlagsAsStarlette) {
  ServerOptions options{.cors_flag_given = true, .allowed_origins = {"*"}};
  serve::HttpRequest request{.method = "GET", .headers = {{"origin", "http://x"}}};
  auto headers = Cors(options).answer_headers(request);
  EXPECT_EQ(find(headers, "Access-Control-Allow-Origin"), "*");
  EXPECT_EQ(find(headers, "Vary"), "-");
  options.allow_credentials = true;
  request.headers.emplace_back("cookie", "a=b");
  headers = Cors(options).answer_headers(request);
  EXPECT_EQ(find(headers, "Access-Control-Allow-Origin"), "http://x");
  EXPECT_EQ(find(headers, "Access-Control-Allow-Credentials"), "true");

  options = {
      .cors_flag_given = true, .allowed_origins = {"http://x"}, .allowed_methods = {"GET"}, .allowed_headers = {"X-A"}};
  Cors strict(options);
  EXPECT_FALSE(strict.allows_origin("http://localhost"));
  request = {.method = "OPTIONS",
             .headers = {{"origin", "http://y"},
                         {"access-control-request-method", "POST"},
                         {"access-control-request-headers", "x-a, x-b"}}};
  auto refused = strict.preflight(request);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->status, 400);
  EXPECT_EQ(refused->body, "Disallowed CORS origin, method, headers");
  request.headers = {{"origin", "http://x"},
                     {"access-control-request-method", "GET"},
                     {"access-control-request-headers", "X-A,accept"}};
  auto allowed = strict.preflight(request);
  EXPECT_EQ(allowed->status, 200);
  EXPECT_EQ(find(allowed->headers, "Access-Control-Allow-Headers"),
            "Accept, Accept-Language, Content-Language, Content-Type, X-A");
  request.headers = {{"origin", "http://x"}};
  EXPECT_FALSE(strict.preflight(request));
}

TEST(Routes, MatchSegments) {
  auto routes = all_routes();
  EXPECT_EQ(match_route(routes, "GET", "/v1/responses/r_1", 0).route->path, "/v1/responses/{response_id}");
  EXPECT_EQ(match_route(routes, "POST", "/v1/responses/r_1/cancel", 0).route->path,
            "/v1/responses/{response_id}/cancel");
  EXPECT_EQ(match_route(routes, "GET", "/v1/responses/", 0).route, nullptr);
  EXPECT_EQ(match_route(routes, "GET", "/v1/responses/a/b", 0).route, nullptr);
  EXPECT_EQ(match_route(routes, "GET", "/v1", 0).route, nullptr);
  EXPECT_EQ(match_route(routes, "PUT", "/ping", 0).allow, "GET, POST");
}

TEST(Routes, OptionsTakeSomeAway) {
  EXPECT_NE(match_route(all_routes(), "POST", "/start_profile", 0).route, nullptr);
  EXPECT_EQ(match_route(all_routes(), "POST", "/start_profile", Route::kProfiling).route, nullptr);
  EXPECT_TRUE(match_route(all_routes(), "GET", "/stop_profile", Route::kProfiling).allow.empty());
}

TEST(Routes, TableIsConsistent) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  for (const Route& route : all_routes()) {
    EXPECT_TRUE(seen.emplace(route.method, route.path).second) << route.path;
    EXPECT_TRUE(route.handler) << route.path;
    EXPECT_TRUE(!route.summary.empty() || (route.flags & Route::kNotBuilt)) << route.path;
    EXPECT_EQ(match_route(all_routes(), route.method, route.path, 0).route, &route);
  }
}

TEST(Routes, OpenapiHasTheRoutesAndTheirFields) {
  auto document = parse_json(make_openapi(all_routes(), 0, api::openapi_schemas()));
  ASSERT_TRUE(document) << document.error().message;
  const json::object& paths = document->at("paths").as_object();
  for (const Route& route : all_routes()) {
    const bool listed = !(route.flags & (Route::kHidden | Route::kNotBuilt));
    std::string method(route.method);
    for (char& c : method) c = static_cast<char>(c | 0x20);
    const json::value* path = paths.if_contains(route.path);
    EXPECT_EQ(path && path->as_object().contains(method), listed) << route.path;
  }
  EXPECT_EQ(paths.at("/ping").as_object().size(), 2u);
  const json::object& schemas = document->at("components").at("schemas").as_object();
  for (const Route& route : all_routes()) {
    EXPECT_TRUE(route.schema.empty() || schemas.contains(route.schema)) << route.schema;
  }
  EXPECT_TRUE(schemas.at("ChatCompletionRequest").at("properties").as_object().contains("messages"));
}

TEST(Routes, OpenapiSurvivesBadSchemas) {
  for (const char* bad : {"", "not json", "[]"}) EXPECT_TRUE(parse_json(make_openapi(all_routes(), 0, bad))) << bad;
}

TEST(Response, HeaderValuesCannotEndTheLine) {
  serve::HttpResponse response;
  response.headers.emplace_back("x-request-id", "a\r\nset-cookie: b");
  const std::string head = response_head(response, Framing::kLength, 0, false, false);
  EXPECT_NE(head.find("x-request-id: aset-cookie: b\r\n"), std::string::npos);
  EXPECT_EQ(head.find("\r\nset-cookie"), std::string::npos);
}

}  // namespace
}  // namespace vllm::server
