#pragma once
// What all connections share: options, policies, the server's state, counters. Every member may be called from any
// thread.
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "server/api.h"
#include "server/auth.h"
#include "server/cors.h"
#include "server/options.h"
#include "server/routes.h"
#include "tls/reloader.h"

namespace vllm::server {

class App {
 public:
  explicit App(ServerOptions given);

  const ServerOptions options;
  const Auth auth;
  const Cors cors;
  const std::span<const Route> routes;
  const unsigned routes_off;  // Route::Flags of rows that the options take away

  /// Certificate and key; null without TLS. Set once, before the first connection.
  std::unique_ptr<tls::Reloader> certificates;

  struct State {
    std::string phase;               // before ready
    std::string unhealthy;           // the reason; empty = healthy
    std::shared_ptr<const Api> api;  // null before ready
  };
  State state() const;
  std::shared_ptr<const Api> api() const { return state().api; }
  void set_phase(std::string text);
  void set_ready(Api api);
  void set_unhealthy(std::string reason);

  void start_draining() { draining_.store(true); }
  bool draining() const { return draining_.load(); }

  // Requests that a handler has and whose answer is not on the wire yet.
  void begin_request();
  void end_request();
  int num_open_requests() const;
  bool wait_until_idle(std::chrono::milliseconds timeout);

  // Bytes of request bodies in memory. False: no more room.
  bool reserve_body(size_t bytes);
  void release_body(size_t bytes) { body_bytes_.fetch_sub(bytes); }

  std::atomic<size_t> num_connections{0};

 private:
  mutable std::mutex mutex_;  // guards state_ and open_requests_
  std::condition_variable idle_;
  State state_;
  int open_requests_ = 0;
  std::atomic<bool> draining_{false};
  std::atomic<size_t> body_bytes_{0};
};

/// 503 with Retry-After, for a request that has come too early or too late; nullopt if requests are taken.
std::optional<serve::HttpResponse> unavailable_response(const App& app);

}  // namespace vllm::server
