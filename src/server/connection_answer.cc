// Connection: the way of an answer to the socket.
#include <fmt/format.h>

#include "base/log.h"
#include "server/connection.h"
#include "server/response.h"

namespace vllm::server {
namespace asio = boost::asio;

namespace {
constexpr size_t kPipelineCap = size_t{64} << 10;  // read ahead while a request is being answered
constexpr auto kNever = Connection::Clock::time_point::max();
}  // namespace

/// Answer with a complete response.
Connection::Awaitable<Connection::Next> Connection::send(serve::HttpResponse& response, const Decision& decision,
                                                         bool keep_alive) {
  keep_alive_ = keep_alive_ && keep_alive;
  put_head(response, decision, false);
  const size_t body_bytes = response.body.size();
  if (!head_only_) out_ += response.body;
  const bool sent = co_await flush();
  observe(decision, body_bytes);
  co_return sent&& keep_alive_ ? Next::kRequest : Next::kClose;
}

Connection::Awaitable<Connection::Next> Connection::run_handler(const Decision& decision, serve::HttpRequest& request) {
  // Woken from any thread. Holds the loop, so that a handler that outlives the server wakes something that is there.
  auto wake = [loop = loop_, weak = weak_from_this()] { loop->wake(weak); };
  auto exchange = std::make_shared<Exchange>(wake, app_->options.max_pending_bytes);
  app_->begin_request();
  // However this ends, the handler learns that nobody listens any more, and the drain that the request is over.
  struct End {
    Connection& connection;
    std::shared_ptr<Exchange> exchange;
    ~End() {
      connection.answer_.reset();
      exchange->disconnect();
      connection.app_->end_request();
    }
  } end{*this, exchange};
  answer_.emplace(exchange);
  answer_->last_output = Clock::now();
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
  const bool complete = co_await deliver(decision);
  if (!complete) {
    cut();
    co_return Next::kClose;
  }
  exchange->finish();
  observe(decision, answer_->streaming ? 0 : answer_->response_bytes);
  co_return keep_alive_ ? Next::kRequest : Next::kClose;
}

/// Everything that the handler writes, until its end. While a stream runs, pump() does the work and this sleeps.
Connection::Awaitable<bool> Connection::deliver(const Decision& decision) {
  Answer& answer = *answer_;
  for (;;) {
    // Take more only when the socket has taken what there was: a lagging reader's bytes stay countable in the exchange.
    if (out_.empty() && !answer.ended) take_answer(decision);
    if (answer.cut) co_return false;
    start_write();
    if (broken_ || (eof_ && !answer.ended) || answer.exchange->overflowed()) co_return false;
    answer.exchange->set_socket_backlog(out_.size() - out_sent_);
    if (out_.empty() && answer.ended) co_return true;
    auto deadline = kNever;
    if (!out_.empty())
      deadline = write_progress_ + app_->options.write_stall_timeout;
    else if (answer.comments)
      deadline = answer.last_output + app_->options.sse_keep_alive_interval;
    if (deadline != kNever && Clock::now() >= deadline) {
      if (!out_.empty()) co_return false;
      put_stream_bytes(out_, ": keep-alive\n\n");
      answer.last_output = Clock::now();
      continue;
    }
    start_read();  // notices that the client closes, also while nothing is to be written
    co_await wait(deadline);
  }
}

/// Move what the exchange has into out_.
void Connection::take_answer(const Decision& decision) {
  Answer& answer = *answer_;
  Exchange::Output output = answer.exchange->take();
  if (output.has_head && !output.stream) {
    answer.response_bytes = output.head.body.size();
    put_head(output.head, decision, false);
    if (!head_only_) out_ += output.head.body;
  } else if (output.has_head) {
    answer.streaming = true;
    answer.comments =
        app_->options.sse_keep_alive_interval.count() > 0 && output.head.content_type.starts_with("text/event-stream");
    put_head(output.head, decision, true);
  }
  put_stream_bytes(out_, output.bytes);
  answer.ended = output.ended;
  answer.cut = output.cut;
  if (answer.ended && answer.streaming && chunked_ && !head_only_) out_ += kLastChunk;
  if (!out_.empty() && answer.comments) answer.last_output = Clock::now();
}

void Connection::on_output() {
  if (!pump()) signal();
}

/// The middle of a stream, from the exchange to the socket without waking run(). False: something else than bytes came,
/// or they did not all go; run() has to look.
bool Connection::pump() {
  if (!answer_ || !answer_->streaming || answer_->ended || broken_ || !out_.empty()) return false;
  std::string &taken = loop_->taken, &framed = loop_->framed;
  taken.clear();  // not empty after an exception only; nothing of one connection may reach another
  framed.clear();
  if (!answer_->exchange->take_bytes(taken)) return false;
  put_stream_bytes(framed, taken);
  const size_t sent = write_some(framed);
  if (sent < framed.size()) out_.assign(framed, sent);
  answer_->exchange->set_socket_backlog(out_.size());
  if (answer_->comments) answer_->last_output = Clock::now();
  forget(taken);
  forget(framed);
  if (!out_.empty()) await_writable();
  return !broken_ && out_.empty();
}

void Connection::put_stream_bytes(std::string& out, std::string_view bytes) const {
  if (head_only_ || bytes.empty()) return;
  if (chunked_)
    append_chunk(out, bytes);
  else
    out += bytes;
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
  if (options.disable_access_log || decision.logged_target.empty()) return;
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
  api->observe(
      {decision.metrics_handler, decision.request.method, status_, elapsed.count(), request_bytes_, response_bytes});
}

}  // namespace vllm::server
