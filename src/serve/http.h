#pragma once
// The boundary between server (sockets) and serve (requests): what arrived, and where the answer goes.
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vllm::serve {

struct HttpRequest {
  std::string method = {};  // "POST"
  std::string path = {};    // without query, root path stripped
  std::string query = {};
  std::vector<std::pair<std::string, std::string>> headers = {};  // names in lower case
  std::string body = {};
  std::string client = {};  // "127.0.0.1:51234", for the access log
  /// The first header of that (lower-case) name, or an empty string.
  const std::string& header(const std::string& name) const {
    static const std::string none;
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return none;
  }
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};
};

/// Where one request's answer goes. All members may be called from any thread and never block; after the client has
/// gone they do nothing. Either respond() once, or start_stream(), any number of write()s and end().
class ResponseWriter {
 public:
  virtual ~ResponseWriter() = default;
  virtual void respond(HttpResponse response) = 0;
  /// Send the head of a chunked (SSE) response; `head.body` is ignored.
  virtual void start_stream(HttpResponse head) = 0;
  /// Returns pending_bytes().
  virtual size_t write(std::string_view bytes) = 0;
  virtual void end() = 0;
  /// Bytes accepted by write() that the socket has not taken yet: a writer that never reads is cut off by its producer.
  virtual size_t pending_bytes() const = 0;
  /// Called once, from any thread, when the client closes before the answer is complete (at once if it already has).
  virtual void on_disconnect(std::function<void()> callback) = 0;
};

}  // namespace vllm::serve
