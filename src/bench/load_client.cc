#include "bench/load_client.h"

#include <sys/resource.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <cstring>
#include <deque>
#include <exception>
#include <span>

#include "bench/reply_reader.h"
#include "tls/session.h"

namespace vllm::bench {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using tls::Progress;

namespace {

struct Connection {
  explicit Connection(asio::io_context& context) : socket(context), buffer(size_t{64} << 10, '\0') {}
  tcp::socket socket;
  std::unique_ptr<tls::Session> session;  // null: plain http
  std::string buffer;
  bool is_used = false;  // has had a reply: the server may have closed it since
};

// Each open request is a descriptor.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

}  // namespace

struct LoadClient::Impl {
  asio::io_context context{1};
  tcp::resolver::results_type addresses;
  std::string host;
  std::shared_ptr<const tls::Context> tls;  // null: plain http
  std::vector<std::unique_ptr<Connection>> idle;

  std::unique_ptr<Connection> take_connection() {
    if (idle.empty()) return std::make_unique<Connection>(context);
    auto out = std::move(idle.back());
    idle.pop_back();
    return out;
  }

  // Wait for what the session wants. A failure, or the end, as an error.
  asio::awaitable<Status> wait_for(Connection& connection, Progress progress) {
    if (progress == Progress::kFailed || progress == Progress::kEnd) {
      const std::string& why = connection.session->failure();
      co_return error(ErrorCode::kUnavailable, "TLS: {}", why.empty() ? "the server has closed the connection" : why);
    }
    const auto direction = progress == Progress::kWantWrite ? tcp::socket::wait_write : tcp::socket::wait_read;
    error_code ec;
    co_await connection.socket.async_wait(direction, asio::redirect_error(asio::use_awaitable, ec));
    if (ec) co_return error(ErrorCode::kUnavailable, "TLS: {}", ec.message());
    co_return Status();
  }

  asio::awaitable<Status> shake_hands(Connection& connection) {
    connection.session = tls::Session::make_client(tls, connection.socket.native_handle(), host);
    for (;;) {
      const Progress progress = connection.session->handshake();
      if (progress == Progress::kDone) co_return Status();
      Status waited = co_await wait_for(connection, progress);
      if (!waited) co_return waited;
    }
  }

  asio::awaitable<Status> write(Connection& connection, const std::string& bytes) {
    if (!connection.session) {
      error_code ec;
      co_await asio::async_write(connection.socket, asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, ec));
      if (ec) co_return error(ErrorCode::kUnavailable, "writing: {}", ec.message());
      co_return Status();
    }
    size_t sent = 0;
    while (sent < bytes.size()) {
      size_t done = 0;
      const Progress progress = connection.session->write(bytes.data() + sent, bytes.size() - sent, done);
      sent += done;
      if (progress == Progress::kDone) continue;
      Status waited = co_await wait_for(connection, progress);
      if (!waited) co_return waited;
    }
    co_return Status();
  }

  // At least a byte into `room`, or `ended`.
  asio::awaitable<Status> read(Connection& connection, std::span<char> room, size_t& got, bool& ended) {
    for (;;) {
      if (!connection.session) {
        error_code ec;
        got = co_await connection.socket.async_read_some(asio::buffer(room.data(), room.size()),
                                                         asio::redirect_error(asio::use_awaitable, ec));
        ended = ec == asio::error::eof;
        if (ec && !ended) co_return error(ErrorCode::kUnavailable, "reading: {}", ec.message());
        co_return Status();
      }
      const Progress progress = connection.session->read(room.data(), room.size(), got);
      // Some servers end without saying so; whether the reply is complete is for the reader to say.
      ended = progress == Progress::kEnd || (progress == Progress::kFailed && connection.session->failure().empty());
      if (ended || progress == Progress::kDone) co_return Status();
      Status waited = co_await wait_for(connection, progress);
      if (!waited) co_return waited;
    }
  }

  // Read until the reply is complete. `got_bytes`: whether any byte came.
  asio::awaitable<Status> receive(Connection& connection, ReplyReader& reader, bool& got_bytes) {
    size_t held = 0;  // bytes at the front of the buffer that the parser could not use yet
    while (!reader.done()) {
      if (held == connection.buffer.size()) connection.buffer.resize(2 * held);
      if (held > (size_t{1} << 20)) co_return error(ErrorCode::kUnavailable, "the server's headers have no end");
      size_t got = 0;
      bool ended = false;
      Status status = co_await read(connection, std::span(connection.buffer).subspan(held), got, ended);
      const double now = seconds_now();
      got_bytes |= got > 0;
      if (!status) co_return status;
      if (ended) co_return reader.end();
      held += got;
      auto used = reader.feed(std::string_view(connection.buffer).substr(0, held), now);
      if (!used) co_return std::move(used).error();
      held -= *used;
      if (held > 0 && *used > 0) std::memmove(connection.buffer.data(), connection.buffer.data() + *used, held);
    }
    co_return Status();
  }

  // One request and its reply over `connection`, which is opened if it is new.
  asio::awaitable<Status> exchange(Connection& connection, const std::string& request, ReplyReader& reader,
                                   bool& got_bytes) {
    error_code ec;
    if (!connection.is_used) {
      co_await asio::async_connect(connection.socket, addresses, asio::redirect_error(asio::use_awaitable, ec));
      if (ec) co_return error(ErrorCode::kUnavailable, "connecting: {}", ec.message());
      connection.socket.set_option(tcp::no_delay(true), ec);
      if (tls) {
        Status agreed = co_await shake_hands(connection);
        if (!agreed) co_return agreed;
      }
    }
    Status written = co_await write(connection, request);
    if (!written) co_return written;
    Status status = co_await receive(connection, reader, got_bytes);
    co_return status;
  }

  // `outcome.prompt_len` is set; `reply`, if given, gets the body of what is no stream.
  asio::awaitable<void> perform(const std::string& request, Api api, Outcome& outcome, PlainReply* reply) {
    outcome.start_time = seconds_now();
    for (;;) {
      std::unique_ptr<Connection> connection = take_connection();
      const bool was_used = connection->is_used;
      bool got_bytes = false;
      ReplyReader reader(api, outcome, reply == nullptr);
      Status status = co_await exchange(*connection, request, reader, got_bytes);
      if (!status && was_used && !got_bytes) continue;  // it had been closed while it was idle: take another
      reader.finish();
      if (reply) *reply = {reader.status(), reader.body()};
      if (!status) {
        outcome.success = false;
        outcome.error = status.error().message;
      }
      if (reader.keeps_connection()) {
        connection->is_used = true;
        idle.push_back(std::move(connection));
      }
      co_return;
    }
  }

  void run_until_done() {
    context.restart();
    context.run();
  }
};

namespace {

// One call of LoadClient::run.
class Run {
 public:
  using Perform = std::function<asio::awaitable<void>(const LoadJob& job, Outcome& outcome)>;
  Run(asio::io_context& context, const std::vector<LoadJob>& jobs, const LoadOptions& options, Perform perform)
      : context_(context), jobs_(jobs), options_(options), perform_(std::move(perform)), timer_(context) {
    result_.outcomes.resize(jobs.size());
    for (size_t i = 0; i < jobs.size(); ++i) {
      result_.outcomes[i].prompt_len = jobs[i].prompt_len;
      result_.outcomes[i].itls.reserve(static_cast<size_t>(std::min<int64_t>(jobs[i].output_len, 1 << 16)));
    }
  }

  void begin() {
    start_ = Clock::now();
    asio::co_spawn(context_, send_all(), [](std::exception_ptr) {});
  }
  LoadResult take() {
    result_.duration_s = seconds(end_ - start_);
    return std::move(result_);
  }

 private:
  asio::awaitable<void> send_all() {
    for (size_t i = 0; i < jobs_.size(); ++i) {
      auto due =
          start_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.arrivals[i]));
      if (due > Clock::now()) {
        timer_.expires_at(due);
        error_code ignored;
        co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      }
      result_.outcomes[i].queue_time = seconds_now();  // the time of arrival, until it is sent
      waiting_.push_back(i);
      send_waiting();
    }
  }

  void send_waiting() {
    while (!waiting_.empty() && (options_.max_concurrency == 0 || num_open_ < options_.max_concurrency)) {
      const size_t i = waiting_.front();
      waiting_.pop_front();
      ++num_open_;
      asio::co_spawn(context_, perform_(jobs_[i], result_.outcomes[i]), [this, i](std::exception_ptr failure) {
        if (failure) result_.outcomes[i].success = false, result_.outcomes[i].error = "out of memory";
        finished(i);
      });
    }
  }

  void finished(size_t i) {
    end_ = Clock::now();
    Outcome& outcome = result_.outcomes[i];
    outcome.queue_time = std::max(0.0, outcome.start_time - outcome.queue_time);
    --num_open_, ++num_done_;
    if (options_.on_progress && (num_done_ == jobs_.size() || end_ >= next_progress_)) {
      options_.on_progress(num_done_);
      next_progress_ = end_ + std::chrono::milliseconds(100);
    }
    send_waiting();
  }

  asio::io_context& context_;
  const std::vector<LoadJob>& jobs_;
  const LoadOptions& options_;
  const Perform perform_;
  asio::steady_timer timer_;
  Clock::time_point start_, end_, next_progress_;
  std::deque<size_t> waiting_;
  int64_t num_open_ = 0;
  size_t num_done_ = 0;
  LoadResult result_;
};

}  // namespace

LoadClient::LoadClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LoadClient::~LoadClient() = default;

Result<std::unique_ptr<LoadClient>> LoadClient::make(const Target& target) {
  raise_descriptor_limit();
  auto impl = std::make_unique<Impl>();
  impl->host = target.host;
  if (target.tls) {
    ASSIGN_OR_RETURN(impl->tls, tls::Context::make_client(target.verify));
  }
  error_code ec;
  tcp::resolver resolver(impl->context);
  impl->addresses = resolver.resolve(target.host, target.port, ec);
  if (ec) return error(ErrorCode::kUnavailable, "{}: {}", target.host_header, ec.message());
  return std::unique_ptr<LoadClient>(new LoadClient(std::move(impl)));
}

LoadResult LoadClient::run(const std::vector<LoadJob>& jobs, const LoadOptions& options) {
  CHECK(options.arrivals.size() == jobs.size());
  Run run(impl_->context, jobs, options, [this, &options](const LoadJob& job, Outcome& outcome) {
    return impl_->perform(job.bytes, options.api, outcome, nullptr);
  });
  run.begin();
  impl_->run_until_done();
  return run.take();
}

Result<PlainReply> LoadClient::ask(const std::string& request) {
  Outcome outcome;
  PlainReply reply;
  asio::co_spawn(impl_->context, impl_->perform(request, Api::kCompletions, outcome, &reply), asio::detached);
  impl_->run_until_done();
  if (reply.status == 0) return error(ErrorCode::kUnavailable, "{}", outcome.error);
  return reply;
}

}  // namespace vllm::bench
