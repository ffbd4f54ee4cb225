#pragma once
// HTTP/1.x requests from bytes, incrementally. Beast's parser behind a plain class, with the limits and the refusals of
// ambiguous framing (request smuggling) that Beast leaves to its user. No sockets, no threads.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vllm::server {

struct RequestHead {
  std::string method, target;
  int version = 11;                                          // 10 or 11
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  bool keep_alive = true;
  bool expect_continue = false;
  bool chunked = false;
  uint64_t content_length = 0;
  bool has_body() const { return chunked || content_length > 0; }
};

class RequestParser {
 public:
  struct Limits {
    size_t max_header_bytes, max_header_count, max_body_bytes;
  };
  enum class State { kHead, kBody, kDone, kError };
  struct Failure {
    int status = 400;
    std::string message;
  };

  explicit RequestParser(const Limits& limits);
  ~RequestParser();

  /// Take what can be taken of `bytes` and return how many; stops once at the head's end, and at the request's end.
  size_t feed(std::string_view bytes);
  State state() const;
  /// Complete from State::kBody on; after an error, what was read of it.
  const RequestHead& head() const;
  RequestHead& head();
  /// What has arrived of the body so far.
  std::string& body();
  /// After the head: read the body but don't keep it (the request has been refused).
  void discard_body();
  const Failure& failure() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vllm::server
