#include "server/exchange.h"

#include "server/response.h"

namespace vllm::server {

class Exchange::Handle final : public serve::ResponseWriter {
 public:
  explicit Handle(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~Handle() override { exchange_->abandon(); }
  void respond(serve::HttpResponse response) override { exchange_->respond(std::move(response)); }
  void start_stream(serve::HttpResponse head) override { exchange_->start_stream(std::move(head)); }
  void write(std::string bytes) override { exchange_->write(std::move(bytes)); }
  void end() override { exchange_->end(); }
  size_t pending_bytes() const override { return exchange_->pending_bytes(); }
  void on_disconnect(std::function<void()> callback) override { exchange_->on_disconnect(std::move(callback)); }

 private:
  std::shared_ptr<Exchange> exchange_;
};

namespace {

// Changes made under the lock, then the wake-up and the callback without it.
class Notice {
 public:
  explicit Notice(std::mutex& mutex) : lock_(mutex) {}
  ~Notice() {
    lock_.unlock();
    if (wake) (*wake)();
    if (callback) callback();
  }
  std::shared_ptr<const std::function<void()>> wake;
  std::function<void()> callback;

 private:
  std::unique_lock<std::mutex> lock_;
};

}  // namespace

Exchange::Exchange(std::function<void()> wake, size_t max_pending_bytes)
    : wake_(std::make_shared<const std::function<void()>>(std::move(wake))), max_pending_bytes_(max_pending_bytes) {}

std::shared_ptr<serve::ResponseWriter> Exchange::make_writer(std::shared_ptr<Exchange> exchange) {
  return std::make_shared<Handle>(std::move(exchange));
}

void Exchange::close_locked(std::function<void()>& callback) {
  phase_ = Phase::kClosed;
  output_ = {};
  output_.cut = true;
  callback = std::move(disconnect_callback_);
  disconnect_callback_ = nullptr;
}

void Exchange::respond(serve::HttpResponse response) {
  Notice notice(mutex_);
  if (phase_ != Phase::kOpen) return;
  phase_ = Phase::kComplete;
  output_.has_head = output_.ended = true;
  output_.head = std::move(response);
  disconnect_callback_ = nullptr;
  if (!std::exchange(wake_sent_, true)) notice.wake = wake_;
}

void Exchange::start_stream(serve::HttpResponse head) {
  Notice notice(mutex_);
  if (phase_ != Phase::kOpen) return;
  phase_ = Phase::kStreaming;
  output_.has_head = output_.stream = true;
  output_.head = std::move(head);
  if (!std::exchange(wake_sent_, true)) notice.wake = wake_;
}

void Exchange::write(std::string bytes) {
  Notice notice(mutex_);
  if (phase_ != Phase::kStreaming || bytes.empty()) return;
  if (output_.bytes.size() + socket_backlog_ + bytes.size() > max_pending_bytes_) {
    close_locked(notice.callback);
    wake_sent_ = false;  // the connection may sleep on a full socket, with an older wake-up still unanswered
  } else if (output_.bytes.empty()) {
    output_.bytes = std::move(bytes);
  } else {
    output_.bytes += bytes;
  }
  if (!std::exchange(wake_sent_, true)) notice.wake = wake_;
}

void Exchange::end() {
  Notice notice(mutex_);
  if (phase_ != Phase::kStreaming) return;
  phase_ = Phase::kComplete;
  output_.ended = true;
  disconnect_callback_ = nullptr;
  if (!std::exchange(wake_sent_, true)) notice.wake = wake_;
}

size_t Exchange::pending_bytes() const {
  std::lock_guard lock(mutex_);
  return output_.bytes.size() + socket_backlog_;
}

void Exchange::on_disconnect(std::function<void()> callback) {
  Notice notice(mutex_);
  if (phase_ == Phase::kClosed)
    notice.callback = std::move(callback);
  else if (phase_ != Phase::kComplete)
    disconnect_callback_ = std::move(callback);
}

void Exchange::abandon() {
  Notice notice(mutex_);
  if (phase_ == Phase::kOpen) {
    phase_ = Phase::kComplete;
    output_.has_head = output_.ended = true;
    output_.head = to_response(api::internal_error("The request was dropped without an answer."));
  } else if (phase_ == Phase::kStreaming) {
    phase_ = Phase::kComplete;
    output_.ended = output_.cut = true;
  } else {
    return;
  }
  disconnect_callback_ = nullptr;
  if (!std::exchange(wake_sent_, true)) notice.wake = wake_;
}

Exchange::Output Exchange::take() {
  std::lock_guard lock(mutex_);
  wake_sent_ = false;
  socket_backlog_ += output_.bytes.size();
  Output out = std::move(output_);
  output_ = {};
  output_.cut = phase_ == Phase::kClosed;
  return out;
}

bool Exchange::overflowed() const {
  std::lock_guard lock(mutex_);
  return phase_ == Phase::kClosed;
}

void Exchange::set_socket_backlog(size_t bytes) {
  std::lock_guard lock(mutex_);
  socket_backlog_ = bytes;
}

void Exchange::disconnect() {
  Notice notice(mutex_);
  wake_ = nullptr;
  if (phase_ == Phase::kComplete) phase_ = Phase::kClosed;
  if (phase_ != Phase::kClosed) close_locked(notice.callback);
}

void Exchange::finish() {
  Notice notice(mutex_);
  wake_ = nullptr;
  if (phase_ == Phase::kComplete) phase_ = Phase::kClosed;
}

}  // namespace vllm::server
