// Connection: what TLS changes. Everything else, limits and time-outs included, is the same on either kind.
#include <algorithm>
#include <atomic>

#include "base/log.h"
#include "server/connection.h"

namespace vllm::server {
namespace asio = boost::asio;
using boost::system::error_code;
using tls::Progress;

namespace {

constexpr size_t kRecordBytes = size_t{16} << 10;  // the most that one TLS record carries
constexpr size_t kWriteBytes = size_t{256} << 10;  // encrypted at once, before others get their turn

// Someone who speaks plain HTTP to the port, or trusts another root, wants to find it in the log; a scanner must not
// fill it: one line in ten seconds.
void log_refused(const std::string& client, const std::string& why) {
  using Clock = std::chrono::steady_clock;
  static std::atomic<Clock::rep> next{0};
  const auto now = Clock::now().time_since_epoch();
  Clock::rep due = next.load();
  if (now.count() < due) return;
  const auto later = now + std::chrono::duration_cast<Clock::duration>(std::chrono::seconds(10));
  if (next.compare_exchange_strong(due, later.count())) LOG_WARNING("TLS handshake with {} failed: {}", client, why);
}

}  // namespace

/// False: there is no connection to go on with.
Connection::Awaitable<bool> Connection::shake_hands() {
  const auto deadline = connected_ + app_->options.header_timeout;
  for (;;) {
    const Progress progress = tls_->handshake();
    if (progress == Progress::kDone) co_return true;
    if (progress == Progress::kFailed || progress == Progress::kEnd) {
      if (!tls_->failure().empty()) log_refused(client_, tls_->failure());
      co_return false;
    }
    bool waiting = true;
    const auto direction = progress == Progress::kWantWrite ? Socket::wait_write : Socket::wait_read;
    socket_.async_wait(direction, [self = shared_from_this(), &waiting](error_code) {
      waiting = false;
      self->signal();
    });
    while (waiting) {
      if (!broken_ && Clock::now() >= deadline) cut();  // ends the wait, too
      co_await wait(deadline);
    }
    if (broken_) co_return false;
  }
}

void Connection::read_tls() {
  scratch_.resize(kRecordBytes);
  size_t got = 0;
  const Progress progress = tls_->read(scratch_.data(), scratch_.size(), got);
  if (progress == Progress::kWantRead || progress == Progress::kWantWrite) {
    await_tls(progress == Progress::kWantRead ? Socket::wait_read : Socket::wait_write);
    return;
  }
  if (progress == Progress::kDone) {
    in_.append(scratch_.data(), got);
    await_tls(Socket::wait_read);  // others get their turn before the next record
  } else {
    eof_ = true;
    if (progress == Progress::kFailed) broken_ = true;
  }
  signal();
}

// Nothing of a record stays inside OpenSSL: what is there to be read makes the socket readable.
void Connection::await_tls(Socket::wait_type direction) {
  reading_ = true;
  socket_.async_wait(direction, [self = shared_from_this()](error_code ec) {
    self->reading_ = false;
    if (ec) self->eof_ = true;
    self->signal();
    self->start_read();
  });
}

size_t Connection::write_some_tls(std::string_view bytes) {
  bytes = bytes.substr(0, kWriteBytes);
  size_t sent = 0;
  while (sent < bytes.size()) {
    size_t done = 0;
    const Progress progress = tls_->write(bytes.data() + sent, bytes.size() - sent, done);
    sent += done;
    if (progress == Progress::kDone) continue;
    broken_ = progress == Progress::kFailed || progress == Progress::kEnd;
    break;
  }
  return sent;
}

}  // namespace vllm::server
