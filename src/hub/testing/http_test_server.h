#pragma once
// A small HTTP/1.1 server on loopback that answers what a test tells it to, and also misbehaves as told.
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace vllm::testing {

struct TestRequest {
  std::string method, target;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string header(const std::string& name) const {
    auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

struct TestResponse {
  int status = 200;
  std::map<std::string, std::string> headers = {};  // Content-Length is added unless it is here
  std::string body = {};
  std::optional<size_t> cut_after = {};  // close the connection after so many bytes of the body
  int stall_ms = 0;  // be silent so long after those bytes (or before the body) instead of closing at once
};

class HttpTestServer {
 public:
  using Handler = std::function<TestResponse(const TestRequest&)>;
  explicit HttpTestServer(Handler handler);
  ~HttpTestServer();
  HttpTestServer(const HttpTestServer&) = delete;
  HttpTestServer& operator=(const HttpTestServer&) = delete;

  std::string url(const std::string& host = "127.0.0.1") const {
    return "http://" + host + ":" + std::to_string(port_);
  }
  /// What was asked so far.
  std::vector<TestRequest> requests() const;

 private:
  void accept_loop();
  void serve(int connection);

  Handler handler_;
  int listener_ = -1, port_ = 0;
  std::atomic<bool> stopping_{false};
  mutable std::mutex mutex_;  // guards requests_ and threads_
  std::vector<TestRequest> requests_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace vllm::testing
