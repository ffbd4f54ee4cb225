#include "server/connection.h"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/log.h"
#include "server/response.h"

// Coroutines here take no parameters by value and never await inside another expression or condition: g++ 12 destroys
// such temporaries twice.

namespace vllm::server {
namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr size_t kReadBytes = size_t{16} << 10;
constexpr size_t kPipelineCap = size_t{64} << 10;   // read ahead while a request is being answered
constexpr size_t kDrainBytes = size_t{256} << 10;   // of a refused request's body: read rather than close the connection
constexpr size_t kWriteBytes = size_t{256} << 10;   // at once, so that a slow reader still shows progress
constexpr auto kNever = Connection::Clock::time_point::max();

}  // namespace

Connection::Connection(std::shared_ptr<Loop> loop, std::shared_ptr<App> app, Socket socket, std::string client)
    : loop_(std::move(loop)),
      app_(std::move(app)),
      socket_(std::move(socket)),
      client_(std::move(client)),
      timer_(loop_->context),
      read_cap_(app_->options.max_header_bytes + 1) {
  app_->num_connections.fetch_add(1);
}

Connection::~Connection() {
  if (body_reserved_ > 0) app_->release_body(body_reserved_);
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
  reading_ = true;
  scratch_.resize(kReadBytes);
  socket_.async_read_some(asio::buffer(scratch_), [self = shared_from_this()](error_code ec, size_t bytes) {
    self->reading_ = false;
    if (ec) self->eof_ = true;
    else self->in_.append(self->scratch_.data(), bytes);
    self->signal();
    self->start_read();
  });
}

void Connection::start_write() {
  if (writing_ || broken_ || out_sent_ == out_.size()) return;
  writing_ = true;
  write_progress_ = Clock::now();
  auto bytes = asio::buffer(out_.data() + out_sent_, std::min(out_.size() - out_sent_, kWriteBytes));
  socket_.async_write_some(bytes, [self = shared_from_this()](error_code ec, size_t sent) {
    self->writing_ = false;
    self->out_sent_ += sent;
    if (ec) self->broken_ = true;
    if (self->out_sent_ == self->out_.size()) {
      self->out_.clear();
      self->out_sent_ = 0;
    }
    self->start_write();
    self->signal();
  });
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
  for (;;) {
    const Next next = co_await serve_one();
    if (next == Next::kClose) break;
  }
  if (!broken_) co_await linger();
}

/// End the sending side, then read and drop what still comes: closing on unread bytes would reset the connection
/// before the client has read its answer.
Connection::Awaitable<> Connection::linger() {
  error_code ignored;
  socket_.shutdown(asio::socket_base::shutdown_send, ignored);
  const auto deadline = Clock::now() + app_->options.linger_timeout;
  while (!gone() && Clock::now() < deadline) {
    in_.clear();
    start_read();
    co_await wait(deadline);
  }
}

void Connection::feed(RequestParser& parser) {
  while (!in_.empty()) {
    const auto before = parser.state();
    const size_t used = parser.feed(in_);
    if (used == in_.size()) in_.clear();
    else in_.erase(0, used);
    if (parser.state() != before || used == 0) break;
  }
}

/// False: nothing more to answer on this connection.
Connection::Awaitable<bool> Connection::read_head(RequestParser& parser) {
  const ServerOptions& options = app_->options;
  const bool first = request_start_ == Clock::time_point{};
  auto deadline = Clock::now() + (first ? options.header_timeout : options.keep_alive_timeout);
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
    if (gone() || (app_->draining() && !begun && !first)) co_return false;
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
      const size_t have = parser.body().capacity();
      if (have > body_reserved_) {
        if (!app_->reserve_body(have - body_reserved_)) {
          refusal = to_response(api::unavailable("Too many large requests at once."));
          co_return false;
        }
        body_reserved_ = have;
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

Connection::Awaitable<Connection::Next> Connection::serve_one() {
  const ServerOptions& options = app_->options;
  const RequestParser::Limits limits{options.max_header_bytes, options.max_header_count, options.max_body_bytes};
  RequestParser parser(limits);
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
  if (body_reserved_ > 0) app_->release_body(body_reserved_);
  body_reserved_ = 0;
  co_return next;
}

/// Answer with a complete response.
Connection::Awaitable<Connection::Next> Connection::send(serve::HttpResponse& response, const Decision& decision,
                                                         bool keep_alive) {
  keep_alive_ = keep_alive_ && keep_alive;
  put_head(response, decision, false);
  const size_t body_bytes = response.body.size();
  if (!head_only_) out_ += response.body;
  const bool sent = co_await flush();
  observe(decision, body_bytes);
  co_return sent && keep_alive_ ? Next::kRequest : Next::kClose;
}

Connection::Awaitable<Connection::Next> Connection::run_handler(const Decision& decision, serve::HttpRequest& request) {
  // Woken from any thread. Holds the loop, so that a handler that outlives the server posts into memory that is there.
  auto wake = [loop = loop_, weak = weak_from_this()] {
    asio::post(loop->context, [weak] {
      if (auto self = weak.lock()) self->signal();
    });
  };
  auto exchange = std::make_shared<Exchange>(wake, app_->options.max_pending_bytes);
  app_->begin_request();
  // However this ends, the handler learns that nobody listens any more, and the drain that the request is over.
  struct End {
    std::shared_ptr<App> app;
    std::shared_ptr<Exchange> exchange;
    ~End() {
      exchange->disconnect();
      app->end_request();
    }
  } end{app_, exchange};
  {
    auto writer = Exchange::make_writer(exchange);
    try {
      decision.route->handler(*app_, std::move(request), writer);
    } catch (const std::exception& e) {
      LOG_ERROR("{} {}: {}", decision.request.method, decision.route->path, e.what());
      writer->respond(to_response(api::internal_error()));
    }
  }

  read_cap_ = kPipelineCap;
  const auto keep_alive_interval = app_->options.sse_keep_alive_interval;
  bool ended = false, streaming = false, comments = false;
  size_t response_bytes = 0;
  auto last_output = Clock::now();
  for (;;) {
    // Take more only when the socket has taken what there was: a lagging reader's bytes stay countable in the exchange.
    if (out_.empty() && !ended) {
      Exchange::Output output = exchange->take();
      if (output.has_head && !output.stream) {
        response_bytes = output.head.body.size();
        put_head(output.head, decision, false);
        if (!head_only_) out_ += output.head.body;
      } else if (output.has_head) {
        streaming = true;
        comments = keep_alive_interval.count() > 0 && output.head.content_type.starts_with("text/event-stream");
        put_head(output.head, decision, true);
      }
      if (!output.bytes.empty()) put_stream_bytes(output.bytes);
      ended = output.ended;
      if (output.cut) {
        cut();
        break;
      }
      if (ended && streaming && chunked_ && !head_only_) out_ += kLastChunk;
      if (!out_.empty()) last_output = Clock::now();
    }
    start_write();
    if (broken_ || (eof_ && !ended)) break;
    exchange->set_socket_backlog(out_.size() - out_sent_);
    if (out_.empty() && ended) break;
    auto deadline = kNever;
    if (!out_.empty()) deadline = write_progress_ + app_->options.write_stall_timeout;
    else if (comments) deadline = last_output + keep_alive_interval;
    if (Clock::now() >= deadline) {
      if (!out_.empty()) {
        cut();
        break;
      }
      put_stream_bytes(": keep-alive\n\n");
      last_output = Clock::now();
      continue;
    }
    start_read();  // notices that the client closes, also while nothing is to be written
    co_await wait(deadline);
  }
  if (ended && out_.empty() && !broken_) {
    exchange->finish();
    observe(decision, streaming ? 0 : response_bytes);
    co_return keep_alive_ ? Next::kRequest : Next::kClose;
  }
  cut();
  co_return Next::kClose;
}

void Connection::put_stream_bytes(std::string_view bytes) {
  if (head_only_) return;
  if (chunked_) append_chunk(out_, bytes);
  else out_ += bytes;
}

void Connection::put_head(serve::HttpResponse& response, const Decision& decision, bool stream) {
  status_ = response.status;
  for (const auto& header : decision.answer_headers) response.headers.push_back(header);
  if (response.content_type.starts_with("text/event-stream")) {
    if (response.content_type == "text/event-stream") response.content_type += "; charset=utf-8";
    response.headers.emplace_back("cache-control", "no-cache");
    response.headers.emplace_back("x-accel-buffering", "no");  // nginx passes every event on at once
  }
  chunked_ = stream && !http10_;
  if (stream && http10_) keep_alive_ = false;  // the end of the connection ends the body
  if (app_->draining()) keep_alive_ = false;
  const Framing framing = !stream ? Framing::kLength : chunked_ ? Framing::kChunked : Framing::kClose;
  out_ += response_head(response, framing, response.body.size(), !keep_alive_, http10_);
  log_access(decision, response.status);
}

void Connection::log_access(const Decision& decision, int status) {
  const ServerOptions& options = app_->options;
  if (options.disable_access_log || decision.request.method.empty()) return;
  const std::string_view target = decision.logged_target;
  for (const std::string& excluded : options.access_log_exclusions) {
    if (target.substr(0, target.find('?')) == excluded) return;
  }
  log_raw(fmt::format("INFO:     {} - \"{} {} HTTP/{}\" {} {}", client_, decision.request.method, target,
                      http10_ ? "1.0" : "1.1", status, reason_phrase(status)));
}

void Connection::observe(const Decision& decision, size_t response_bytes) {
  if (decision.request.method.empty()) return;
  auto api = app_->api();
  if (!api || !api->observe) return;
  const std::chrono::duration<double> elapsed = Clock::now() - request_start_;
  api->observe({decision.metrics_handler, decision.request.method, status_, elapsed.count(), request_bytes_, response_bytes});
}

}  // namespace vllm::server
