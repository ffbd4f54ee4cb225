#pragma once
// The HTTP server: listens at once, answers 503 with the phase until set_ready, drains, stops.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "server/api.h"
#include "server/options.h"

namespace vllm::server {

class Server {
 public:
  explicit Server(ServerOptions options);
  ~Server();  // stop()

  /// Load the certificate if there is one, bind, listen and start the I/O threads. kUnavailable if the address is in
  /// use, kInvalidArgument if a host is unknown; a certificate's errors name the flag.
  Status start();
  /// The bound port; 0 with --uds.
  uint16_t port() const;

  /// What the 503 answers and the page say until set_ready: "downloading 43%". Any thread.
  void set_phase(std::string text);
  void set_ready(Api api);
  /// /health and /ping say 503 from now on; requests still reach the handlers, which answer with the engine's error.
  void set_unhealthy(std::string reason);

  /// Refuse new requests with 503, close idle connections, and wait until the open requests have been answered.
  /// False if `timeout` passed first. Call stop() next.
  bool drain(std::chrono::milliseconds timeout);
  /// Close the listeners and every connection (open requests see a disconnect), and join the threads. Idempotent; never
  /// from a handler.
  void stop();

  /// "Available routes are:" and one line for each.
  void log_routes() const;
  /// Requests that reached a handler and are not answered yet.
  int num_open_requests() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vllm::server
