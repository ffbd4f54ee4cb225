// Connection: reading a request, with every deadline and limit.
#include "server/connection.h"
#include "server/response.h"

namespace vllm::server {

namespace {
constexpr size_t kFreeBytes = size_t{64} << 10;
}  // namespace

/// Account for `bytes` in all of the current request; a usual head is free. False: the server holds too much already.
bool Connection::reserve_memory(size_t bytes) {
  if (bytes <= reserved_ || bytes <= kFreeBytes) return true;
  if (!app_->reserve_body(bytes - reserved_)) return false;
  reserved_ = bytes;
  return true;
}

void Connection::release_memory() {
  if (reserved_ > 0) app_->release_body(reserved_);
  reserved_ = 0;
}

void Connection::feed(RequestParser& parser) {
  while (!in_.empty()) {
    const auto before = parser.state();
    const size_t used = parser.feed(in_);
    if (used == in_.size())
      in_.clear();
    else
      in_.erase(0, used);
    if (parser.state() != before || used == 0) break;
  }
}

/// False: nothing more to answer on this connection.
Connection::Awaitable<bool> Connection::read_head(RequestParser& parser) {
  const ServerOptions& options = app_->options;
  const bool first = request_start_ == Clock::time_point{};
  auto deadline = first ? connected_ + options.header_timeout : Clock::now() + options.keep_alive_timeout;
  bool begun = false;
  read_cap_ = options.max_header_bytes + 1;
  for (;;) {
    // RFC 9112 2.2: empty lines before a request are skipped.
    while (!begun && in_.starts_with("\r\n")) in_.erase(0, 2);
    if (!in_.empty() && in_ != "\r") {
      if (!begun) {
        begun = true;
        if (!first) deadline = Clock::now() + options.header_timeout;
      }
      feed(parser);
      if (parser.state() != RequestParser::State::kHead) co_return true;
    }
    if (gone() || (app_->draining() && !begun && !first) || !reserve_memory(in_.capacity())) co_return false;
    if (Clock::now() >= deadline) {
      if (!begun) co_return false;
      Decision late;
      late.logged_target = "-";
      keep_alive_ = false;
      serve::HttpResponse timeout = error_response(408, "The request's head took too long.");
      put_head(timeout, late, false);
      out_ += timeout.body;
      co_await flush();
      co_return false;
    }
    start_read();
    co_await wait(deadline);
  }
}

/// Read the rest of the body. False with `refusal` set (or the client gone: refusal.status 0).
Connection::Awaitable<bool> Connection::read_body(RequestParser& parser, serve::HttpResponse& refusal) {
  const ServerOptions& options = app_->options;
  const auto end = Clock::now() + options.body_timeout;
  auto deadline = std::min(end, Clock::now() + options.body_stall_timeout);
  refusal.status = 0;
  read_cap_ = options.max_header_bytes + 1;
  while (parser.state() == RequestParser::State::kBody) {
    if (!in_.empty()) {
      feed(parser);
      deadline = std::min(end, Clock::now() + options.body_stall_timeout);
      if (!reserve_memory(parser.body().capacity())) {
        refusal = to_response(api::unavailable("Too many large requests at once."));
        co_return false;
      }
      if (parser.state() != RequestParser::State::kBody) break;
    }
    if (gone()) co_return false;
    if (Clock::now() >= deadline) {
      refusal = error_response(408, "The request's body took too long.");
      co_return false;
    }
    start_read();
    co_await wait(deadline);
  }
  if (parser.state() == RequestParser::State::kDone) co_return true;
  refusal = error_response(parser.failure().status, parser.failure().message);
  co_return false;
}

}  // namespace vllm::server
