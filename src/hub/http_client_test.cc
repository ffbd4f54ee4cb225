#include "hub/http_client.h"

#include <gtest/gtest.h>

#include "hub/testing/http_test_server.h"
#include "hub/testing/scoped_env.h"

namespace vllm {
namespace {

using testing::HttpTestServer;
using testing::ScopedEnv;
using testing::TestRequest;
using testing::TestResponse;

HttpSettings quick() {
  HttpSettings settings;
  settings.connect_timeout = std::chrono::milliseconds(1000);
  settings.stall_timeout = std::chrono::seconds(1);
  return settings;
}

TEST(HttpClient, SendsTheTokenToItsOwnOriginOnly) {
  HttpTestServer other([](const TestRequest&) { return TestResponse{.body = "far"}; });
  HttpTestServer* self = nullptr;
  HttpTestServer server([&](const TestRequest& request) {
    if (request.target == "/near") return TestResponse{.status = 307, .headers = {{"Location", "/here"}}};
    if (request.target == "/far") return TestResponse{.status = 302, .headers = {{"Location", other.url() + "/x"}}};
    if (request.target == "/alias")
      return TestResponse{.status = 302, .headers = {{"Location", self->url("localhost") + "/here"}}};
    return TestResponse{.body = "near"};
  });
  self = &server;
  HttpClient client(quick());
  EXPECT_EQ(client.fetch({.url = server.url() + "/near", .token = "secret"}, 100)->body, "near");
  EXPECT_EQ(server.requests().back().target, "/here");
  EXPECT_EQ(server.requests().back().header("authorization"), "Bearer secret");
  EXPECT_EQ(client.fetch({.url = server.url() + "/far", .token = "secret"}, 100)->body, "far");
  EXPECT_EQ(other.requests().back().header("authorization"), "");
  EXPECT_EQ(client.fetch({.url = server.url() + "/alias", .token = "secret"}, 100)->body, "near");
  EXPECT_EQ(server.requests().back().header("authorization"), "");
  auto kept = client.fetch({.url = server.url() + "/far", .token = "secret", .follow_to_other_hosts = false}, 100);
  EXPECT_EQ(kept->status, 302);
  EXPECT_EQ(other.requests().size(), 1u);
}

TEST(HttpClient, BoundsWhatAServerCanDo) {
  HttpTestServer server([](const TestRequest& request) {
    if (request.target == "/loop") return TestResponse{.status = 302, .headers = {{"Location", "/loop"}}};
    if (request.target == "/file") return TestResponse{.status = 302, .headers = {{"Location", "file:///etc/passwd"}}};
    if (request.target == "/headers") {
      TestResponse response;
      for (int i = 0; i < 400; ++i) response.headers["X-" + std::to_string(i)] = std::string(1000, 'x');
      return response;
    }
    if (request.target == "/cut") return TestResponse{.body = std::string(100, 'x'), .cut_after = 10};
    if (request.target == "/stall")
      return TestResponse{.body = std::string(100, 'x'), .cut_after = 10, .stall_ms = 10'000};
    if (request.target == "/silent") std::this_thread::sleep_for(std::chrono::seconds(3));
    return TestResponse{.body = std::string(1000, 'x')};
  });
  HttpClient client(quick());
  auto code = [&](const std::string& path) {
    auto response = client.fetch({.url = server.url() + path}, 500);
    return response ? ErrorCode::kInternal : response.error().code;
  };
  EXPECT_EQ(code("/loop"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code("/file"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code("/headers"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code("/long"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code("/cut"), ErrorCode::kUnavailable);
  auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(code("/stall"), ErrorCode::kUnavailable);
  EXPECT_EQ(code("/silent"), ErrorCode::kUnavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(8));
  EXPECT_EQ(client.fetch({.url = "http://127.0.0.1:1/"}, 1).error().code, ErrorCode::kUnavailable);
  EXPECT_EQ(client.fetch({.url = "file:///etc/passwd"}, 1).error().code, ErrorCode::kInvalidArgument);
  EXPECT_EQ(client.fetch({.url = "no address"}, 1).error().code, ErrorCode::kInvalidArgument);
}

TEST(HttpClient, StopsWhenCancelled) {
  HttpTestServer server(
      [](const TestRequest&) { return TestResponse{.body = "xx", .cut_after = 1, .stall_ms = 20'000}; });
  std::atomic<bool> cancelled{false};
  HttpSettings settings = quick();
  settings.stall_timeout = std::chrono::seconds(30);
  settings.cancelled = &cancelled;
  HttpClient client(settings);
  std::jthread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    cancelled = true;
  });
  auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(client.fetch({.url = server.url()}, 100).error().code, ErrorCode::kCancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  EXPECT_EQ(client.fetch({.url = server.url()}, 100).error().code, ErrorCode::kCancelled);
}

TEST(HttpClient, UsesProxies) {
  HttpTestServer proxy([](const TestRequest&) { return TestResponse{.body = "through the proxy"}; });
  HttpTestServer direct([](const TestRequest&) { return TestResponse{.body = "direct"}; });
  for (const char* name : {"http_proxy", "HTTP_PROXY"}) {
    ScopedEnv environment;
    for (const char* other : {"http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"})
      environment.unset(other);
    environment.set(name, proxy.url());
    HttpClient client(quick());
    EXPECT_EQ(client.fetch({.url = "http://hub.invalid/x"}, 100)->body, "through the proxy");
    EXPECT_EQ(proxy.requests().back().target, "http://hub.invalid/x");
    environment.set("no_proxy", "127.0.0.1");
    EXPECT_EQ(client.fetch({.url = direct.url()}, 100)->body, "direct");
  }
}

TEST(Redirect, KnowsOrigins) {
  auto same = [](const char* base, const char* location) { return resolve_redirect(base, location)->same_origin; };
  EXPECT_TRUE(same("https://hub.co/a/b", "/c"));
  EXPECT_TRUE(same("https://hub.co/a", "https://HUB.co:443/x"));
  EXPECT_FALSE(same("https://hub.co/a", "https://hub.co:8443/x"));
  EXPECT_FALSE(same("https://hub.co/a", "https://cdn.hub.co/x"));
  EXPECT_FALSE(same("https://hub.co/a", "https://hub.co.evil.org/x"));
  EXPECT_FALSE(same("https://hub.co/a", "https://hub.co@evil.org/x"));
  EXPECT_FALSE(same("https://hub.co/a", "//evil.org/x"));
  EXPECT_FALSE(same("http://hub.co/a", "https://hub.co/a"));
  EXPECT_FALSE(resolve_redirect("https://hub.co/a", "http://hub.co/a"));
  EXPECT_FALSE(resolve_redirect("https://hub.co/a", "ftp://hub.co/a"));
  EXPECT_EQ(resolve_redirect("https://hub.co/a/b?q", "c")->url, "https://hub.co/a/c");
}

}  // namespace
}  // namespace vllm
