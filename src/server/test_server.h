#pragma once
// A server with fake handlers, on a free loopback port.
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "server/server.h"
#include "server/test_client.h"

namespace vllm::server {

/// chat_completions echoes method, path, query and body; completions hands its writer to the test; the rest say their
/// name.
class TestServer {
 public:
  explicit TestServer(ServerOptions options = {}, bool ready = true) {
    if (options.hosts.empty()) options.hosts = {"127.0.0.1"};
    options.port = 0;
    options.disable_access_log = true;
    server = std::make_unique<Server>(std::move(options));
    const Status status = server->start();
    EXPECT_TRUE(status) << (status ? "" : status.error().message);
    if (ready) server->set_ready(make_fake_api());
  }
  ~TestServer() {
    server->stop();
    std::lock_guard lock(mutex_);
    writers_.clear();
  }

  Api make_fake_api() {
    Api api;
    api.chat_completions = [](serve::HttpRequest r, Writer w) {
      serve::HttpResponse out;
      out.content_type = "text/plain";
      out.body = r.method + " " + r.path + "?" + r.query + "\n" + r.body;
      w->respond(std::move(out));
    };
    api.completions = [this](serve::HttpRequest, Writer w) {
      {
        std::lock_guard lock(mutex_);
        writers_.push_back(std::move(w));
      }
      arrived_.notify_all();
    };
    api.list_models = [](serve::HttpRequest, Writer w) {
      serve::HttpResponse out;
      out.body = R"({"object":"list"})";
      w->respond(std::move(out));
    };
    api.tokenize = [](serve::HttpRequest r, Writer w) {
      serve::HttpResponse out;
      out.body = std::to_string(r.body.size());
      w->respond(std::move(out));
    };
    api.server_load = [] { return 7; };
    api.observe = [this](const HttpObservation& o) {
      std::lock_guard lock(mutex_);
      observations.push_back(o);
    };
    return api;
  }

  /// Wait for the next POST /v1/completions.
  Writer next_writer() {
    std::unique_lock lock(mutex_);
    if (!arrived_.wait_for(lock, std::chrono::seconds(5), [this] { return !writers_.empty(); })) return nullptr;
    Writer out = std::move(writers_.front());
    writers_.erase(writers_.begin());
    return out;
  }
  TestClient client() { return TestClient(server->port()); }
  TestClient::Reply ask(std::string_view request) { return client().ask(request); }

  std::unique_ptr<Server> server;
  std::vector<HttpObservation> observations;  // guarded by mutex_; read after stop()

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<Writer> writers_;
};

/// True once `condition` holds, within 5 s.
template <typename Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 500; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return condition();
}

}  // namespace vllm::server
