#pragma once
// One request's answer between the handler's threads and the connection's: serve::ResponseWriter on one side, a buffer
// with a wake-up on the other. Knows no socket.
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "serve/http.h"

namespace vllm::server {

class Exchange {
 public:
  /// `wake` is called from any thread, without locks held, when take() has something new. `max_pending_bytes` caps
  /// what may wait for the socket: a write beyond it ends the exchange as if the client had gone.
  Exchange(std::function<void()> wake, size_t max_pending_bytes);

  /// The handler's side. When the last copy goes without an answer, the client gets 500 (or a cut stream).
  static std::shared_ptr<serve::ResponseWriter> make_writer(std::shared_ptr<Exchange> exchange);

  /// The connection's side: what is new since the last call.
  struct Output {
    bool has_head = false;
    serve::HttpResponse head;  // with its body, unless `stream`
    bool stream = false;
    std::string bytes;   // of the stream
    bool ended = false;  // nothing follows
    bool cut = false;    // close the connection without a proper end
  };
  Output take();
  /// The usual case of a stream, nothing new but bytes: swaps them with `bytes`, an empty buffer. False: see take().
  bool take_bytes(std::string& bytes);
  /// The cap was passed: close the connection now, whatever the socket still holds.
  bool overflowed() const { return closed_.load(std::memory_order_acquire); }
  /// Bytes taken that the socket has not accepted yet.
  void set_socket_backlog(size_t bytes) { socket_backlog_.store(bytes, std::memory_order_relaxed); }
  /// The client has gone (or was cut off): runs the handler's callback, once, unless the answer was complete.
  void disconnect();
  /// The answer is on the wire: drops the callback.
  void finish();

 private:
  class Handle;
  void respond(serve::HttpResponse response);
  void start_stream(serve::HttpResponse head);
  size_t write(std::string_view bytes);
  void end();
  size_t pending_bytes() const {
    return waiting_bytes_.load(std::memory_order_relaxed) + socket_backlog_.load(std::memory_order_relaxed);
  }
  void on_disconnect(std::function<void()> callback);
  void abandon();
  void close_locked(std::function<void()>& callback);

  const std::function<void()> wake_;
  const size_t max_pending_bytes_;
  // Changed under the lock, read without it.
  std::atomic<bool> closed_{false};        // phase_ is kClosed
  std::atomic<size_t> waiting_bytes_{0};   // in output_
  std::atomic<size_t> socket_backlog_{0};  // the connection's own
  mutable std::mutex mutex_;               // guards everything below
  enum class Phase { kOpen, kStreaming, kComplete, kClosed } phase_ = Phase::kOpen;
  Output output_;
  bool wake_sent_ = false;
  std::function<void()> disconnect_callback_;
};

}  // namespace vllm::server
