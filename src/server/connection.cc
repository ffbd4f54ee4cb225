#include "server/connection.h"

#include <sys/socket.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cerrno>

#include "base/log.h"
#include "server/response.h"

// Coroutines take no parameters by value and never await inside another expression or condition: g++ 12 destroys
// such temporaries twice.

namespace vllm::server {
namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr size_t kKeptBytes = size_t{64} << 10;  // of a buffer that is used again: a large answer's is given back
constexpr size_t kReadBytes = size_t{16} << 10;
constexpr size_t kDrainBytes = size_t{256} << 10;  // of a refused request's body: read rather than close the connection

}  // namespace

Connection::Connection(std::shared_ptr<Loop> loop, std::shared_ptr<App> app, Socket socket, std::string client)
    : loop_(std::move(loop)),
      app_(std::move(app)),
      socket_(std::move(socket)),
      client_(std::move(client)),
      timer_(loop_->context),
      read_cap_(app_->options.max_header_bytes + 1) {
  if (app_->certificates) tls_ = tls::Session::make_server(app_->certificates->context(), socket_.native_handle());
  app_->num_connections.fetch_add(1);
}

Connection::~Connection() {
  release_memory();
  app_->num_connections.fetch_sub(1);
}

void Connection::start() {
  loop_->connections.insert(this);
  asio::co_spawn(
      loop_->context, [self = shared_from_this()] { return self->run(); },
      [self = shared_from_this()](std::exception_ptr failure) {
        if (failure) {
          try {
            std::rethrow_exception(failure);
          } catch (const std::exception& e) {
            LOG_ERROR("connection {}: {}", self->client_, e.what());
          }
        }
        self->cut();
        self->loop_->connections.erase(self.get());
      });
}

void Connection::signal() {
  signalled_ = true;
  timer_.cancel();
}

void Connection::cut() {
  broken_ = true;
  error_code ignored;
  socket_.close(ignored);
  signal();
}

void Connection::forget(std::string& buffer) {
  if (buffer.capacity() > kKeptBytes)
    std::string().swap(buffer);
  else
    buffer.clear();
}

// Sleep until signal() or the deadline. Only run() and what it calls wait, one at a time.
Connection::Awaitable<> Connection::wait(Clock::time_point deadline) {
  if (!signalled_) {
    timer_.expires_at(deadline);
    error_code ignored;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  signalled_ = false;
}

void Connection::start_read() {
  if (reading_ || gone() || in_.size() >= read_cap_) return;
  if (tls_) return read_tls();
  reading_ = true;
  scratch_.resize(kReadBytes);
  socket_.async_read_some(asio::buffer(scratch_), [self = shared_from_this()](error_code ec, size_t bytes) {
    self->reading_ = false;
    if (ec)
      self->eof_ = true;
    else
      self->in_.append(self->scratch_.data(), bytes);
    self->signal();
    self->start_read();
  });
}

void Connection::start_write() {
  if (writing_ || broken_ || out_sent_ == out_.size()) return;
  // Straight to the socket, which nearly always takes everything at once.
  out_sent_ += write_some(std::string_view(out_).substr(out_sent_));
  if (out_sent_ == out_.size()) {
    forget(out_);
    out_sent_ = 0;
  }
  if (!out_.empty()) await_writable();
}

void Connection::await_writable() {
  if (broken_) return;
  write_progress_ = Clock::now();
  writing_ = true;
  socket_.async_wait(Socket::wait_write, [self = shared_from_this()](error_code ec) {
    self->writing_ = false;
    if (ec) self->broken_ = true;
    self->start_write();
    self->signal();
  });
}

/// Give the socket what it takes now; returns how much. Sets broken_ if the connection is of no more use.
size_t Connection::write_some(std::string_view bytes) {
  if (bytes.empty()) return 0;
  if (tls_) return write_some_tls(bytes);
  const ssize_t sent = ::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0) return static_cast<size_t>(sent);
  broken_ = errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
  return 0;
}

/// Wait until everything is written. False if the client is gone or takes nothing any more.
Connection::Awaitable<bool> Connection::flush() {
  start_write();
  while (!broken_ && !out_.empty()) {
    const auto deadline = write_progress_ + app_->options.write_stall_timeout;
    if (Clock::now() >= deadline) {
      cut();
      break;
    }
    co_await wait(deadline);
  }
  co_return !broken_;
}

Connection::Awaitable<> Connection::run() {
  // A detour through the loop first: a connection may be accepted while the loop is stopping.
  if (loop_->stopping) co_return;
  if (tls_) {
    const bool agreed = co_await shake_hands();
    if (!agreed) co_return;
  }
  for (;;) {
    const Next next = co_await serve_one();
    if (next == Next::kClose) break;
  }
  if (!broken_) co_await linger();
}

/// End the sending side, then read and drop what still comes: closing on unread bytes would reset the connection
/// before the client has read its answer.
Connection::Awaitable<> Connection::linger() {
  if (tls_) {
    tls_->close();
    tls_.reset();  // what still comes is not even decrypted
  }
  error_code ignored;
  socket_.shutdown(asio::socket_base::shutdown_send, ignored);
  const auto deadline = Clock::now() + app_->options.linger_timeout;
  while (!gone() && Clock::now() < deadline) {
    in_.clear();
    start_read();
    co_await wait(deadline);
  }
}

Connection::Awaitable<Connection::Next> Connection::serve_one() {
  const ServerOptions& options = app_->options;
  const RequestParser::Limits limits{options.max_header_bytes, options.max_header_count, options.max_body_bytes};
  RequestParser parser(limits);
  release_memory();
  const bool answerable = co_await read_head(parser);
  if (!answerable) co_return Next::kClose;
  request_start_ = Clock::now();
  request_bytes_ = 0;
  status_ = 0;

  if (parser.state() == RequestParser::State::kError) {
    LOG_WARNING("Invalid HTTP request received: {}", parser.failure().message);
    http10_ = head_only_ = false;
    Decision invalid;
    const int status = parser.failure().status;
    // 400: uvicorn's own text. The others have no counterpart there.
    invalid.refusal = status == 400 ? text_response(400, "Invalid HTTP request received.")
                                    : error_response(status, parser.failure().message);
    keep_alive_ = false;
    put_head(invalid.refusal, invalid, false);
    out_ += invalid.refusal.body;
    co_await flush();
    co_return Next::kClose;
  }

  RequestHead& head = parser.head();
  const bool expect_continue = head.expect_continue && head.has_body();
  const bool small_body = !head.chunked && head.content_length <= kDrainBytes;
  keep_alive_ = head.keep_alive;
  http10_ = head.version < 11;
  head_only_ = head.method == "HEAD";
  request_bytes_ = head.content_length;
  Decision decision = decide(*app_, std::move(head), client_);

  if (!decision.route) {
    // Answered at once; then the body is read and dropped if it is small, so that the connection can go on.
    const bool complete = parser.state() == RequestParser::State::kDone;
    Next next = co_await send(decision.refusal, decision, complete || (small_body && !expect_continue));
    if (next == Next::kRequest && !complete) {
      parser.discard_body();
      serve::HttpResponse ignored;
      const bool dropped = co_await read_body(parser, ignored);
      if (!dropped) next = Next::kClose;
    }
    co_return next;
  }
  if (parser.state() == RequestParser::State::kBody) {
    if (expect_continue && in_.empty()) out_ += "HTTP/1.1 100 Continue\r\n\r\n";
    start_write();
    serve::HttpResponse refusal;
    const bool complete = co_await read_body(parser, refusal);
    if (!complete) {
      if (refusal.status == 0) co_return Next::kClose;
      const Next next = co_await send(refusal, decision, false);
      co_return next;
    }
  }
  decision.request.body = std::move(parser.body());
  request_bytes_ = decision.request.body.size();
  serve::HttpRequest request = std::move(decision.request);
  decision.request.method = request.method;
  const Next next = co_await run_handler(decision, request);
  release_memory();
  co_return next;
}

}  // namespace vllm::server
