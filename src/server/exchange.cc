#include "server/exchange.h"

#include "server/response.h"

namespace vllm::server {

class Exchange::Handle final : public serve::ResponseWriter {
 public:
  explicit Handle(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  ~Handle() override { exchange_->abandon(); }
  void respond(serve::HttpResponse response) override { exchange_->respond(std::move(response)); }
  void start_stream(serve::HttpResponse head) override { exchange_->start_stream(std::move(head)); }
  size_t write(std::string_view bytes) override { return exchange_->write(bytes); }
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
  const std::function<void()>* wake = nullptr;
  std::function<void()> callback;

 private:
  std::unique_lock<std::mutex> lock_;
};

}  // namespace

Exchange::Exchange(std::function<void()> wake, size_t max_pending_bytes)
    : wake_(std::move(wake)), max_pending_bytes_(max_pending_bytes) {}

std::shared_ptr<serve::ResponseWriter> Exchange::make_writer(std::shared_ptr<Exchange> exchange) {
  return std::make_shared<Handle>(std::move(exchange));
}

void Exchange::close_locked(std::function<void()>& callback) {
  phase_ = Phase::kClosed;
  closed_.store(true, std::memory_order_release);
  waiting_bytes_.store(0, std::memory_order_relaxed);
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
  if (!std::exchange(wake_sent_, true)) notice.wake = &wake_;
}

void Exchange::start_stream(serve::HttpResponse head) {
  Notice notice(mutex_);
  if (phase_ != Phase::kOpen) return;
  phase_ = Phase::kStreaming;
  output_.has_head = output_.stream = true;
  output_.head = std::move(head);
  if (!std::exchange(wake_sent_, true)) notice.wake = &wake_;
}

size_t Exchange::write(std::string_view bytes) {
  Notice notice(mutex_);
  if (phase_ != Phase::kStreaming || bytes.empty()) return pending_bytes();
  const size_t waiting = output_.bytes.size() + bytes.size();
  const size_t pending = waiting + socket_backlog_.load(std::memory_order_relaxed);
  if (pending > max_pending_bytes_) {
    close_locked(notice.callback);
    wake_sent_ = false;  // the connection may sleep on a full socket, with an older wake-up still unanswered
  } else {
    output_.bytes += bytes;
    waiting_bytes_.store(waiting, std::memory_order_relaxed);
  }
  if (!std::exchange(wake_sent_, true)) notice.wake = &wake_;
  return pending;
}

void Exchange::end() {
  Notice notice(mutex_);
  if (phase_ != Phase::kStreaming) return;
  phase_ = Phase::kComplete;
  output_.ended = true;
  disconnect_callback_ = nullptr;
  if (!std::exchange(wake_sent_, true)) notice.wake = &wake_;
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
  if (!std::exchange(wake_sent_, true)) notice.wake = &wake_;
}

Exchange::Output Exchange::take() {
  std::lock_guard lock(mutex_);
  wake_sent_ = false;
  socket_backlog_.fetch_add(output_.bytes.size(), std::memory_order_relaxed);
  waiting_bytes_.store(0, std::memory_order_relaxed);
  Output out = std::move(output_);
  output_ = {};
  output_.cut = phase_ == Phase::kClosed;
  return out;
}

bool Exchange::take_bytes(std::string& bytes) {
  std::lock_guard lock(mutex_);
  if (phase_ != Phase::kStreaming || output_.has_head) return false;
  wake_sent_ = false;
  socket_backlog_.fetch_add(output_.bytes.size(), std::memory_order_relaxed);
  waiting_bytes_.store(0, std::memory_order_relaxed);
  bytes.swap(output_.bytes);
  return true;
}

void Exchange::disconnect() {
  Notice notice(mutex_);
  if (phase_ == Phase::kComplete) phase_ = Phase::kClosed;
  if (phase_ != Phase::kClosed) close_locked(notice.callback);
}

void Exchange::finish() {
  std::lock_guard lock(mutex_);
  if (phase_ == Phase::kComplete) phase_ = Phase::kClosed;
}

}  // namespace vllm::server
