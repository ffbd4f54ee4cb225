#pragma once
// One client connection: a coroutine that reads requests, asks the gate, hands them to handlers and writes the answers.
// Everything here runs on the loop's thread; only an Exchange is touched by others.
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/app.h"
#include "server/exchange.h"
#include "server/gate.h"
#include "server/loop.h"
#include "server/request_parser.h"
#include "tls/session.h"

namespace vllm::server {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = boost::asio::generic::stream_protocol::socket;
  using Clock = std::chrono::steady_clock;

  /// `client` is "127.0.0.1:51234", or empty on a Unix socket.
  Connection(std::shared_ptr<Loop> loop, std::shared_ptr<App> app, Socket socket, std::string client);
  ~Connection();
  void start();
  /// Look at the state again: draining has begun.
  void signal();
  /// The exchange has something new.
  void on_output();
  /// Close at once; the open request sees a disconnect.
  void cut();

 private:
  template <typename T = void>
  using Awaitable = boost::asio::awaitable<T>;
  enum class Next { kRequest, kClose };  // after a request: keep the connection or end it

  Awaitable<> run();
  Awaitable<bool> shake_hands();
  Awaitable<Next> serve_one();
  Awaitable<bool> read_head(RequestParser& parser);
  Awaitable<bool> read_body(RequestParser& parser, serve::HttpResponse& refusal);
  Awaitable<Next> run_handler(const Decision& decision, serve::HttpRequest& request);
  Awaitable<bool> deliver(const Decision& decision);
  Awaitable<Next> send(serve::HttpResponse& response, const Decision& decision, bool keep_alive);
  Awaitable<bool> flush();
  Awaitable<> linger();
  Awaitable<> wait(Clock::time_point deadline);

  void feed(RequestParser& parser);
  bool reserve_memory(size_t bytes);
  void release_memory();
  void start_read();
  void read_tls();
  void await_tls(Socket::wait_type direction);
  void start_write();
  void await_writable();
  size_t write_some(std::string_view bytes);
  size_t write_some_tls(std::string_view bytes);
  void put_head(serve::HttpResponse& response, const Decision& decision, bool stream);
  void put_stream_bytes(std::string& out, std::string_view bytes) const;
  void log_access(const Decision& decision, int status);
  void observe(const Decision& decision, size_t response_bytes);
  void take_answer(const Decision& decision);
  bool pump();
  static void forget(std::string& buffer);
  bool gone() const { return broken_ || eof_; }

  std::shared_ptr<Loop> loop_;
  std::shared_ptr<App> app_;
  Socket socket_;
  std::string client_;
  std::unique_ptr<tls::Session> tls_;  // null: plain HTTP
  const Clock::time_point connected_ = Clock::now();
  boost::asio::steady_timer timer_;
  bool signalled_ = false;

  // Input: what has been read and not parsed yet.
  std::string in_;
  std::vector<char> scratch_;
  size_t read_cap_ = 0;  // reading pauses while in_ holds that much
  bool reading_ = false, eof_ = false;

  // Output: what the socket has not taken yet is out_ from out_sent_ on.
  std::string out_;
  size_t out_sent_ = 0;
  bool writing_ = false, broken_ = false;
  Clock::time_point write_progress_{};

  // The answer that a handler is making, from the call to its last byte.
  struct Answer {
    // Clang takes a nested class with default values for one that can't be made from nothing until its outer class
    // ends.
    explicit Answer(std::shared_ptr<Exchange> e) : exchange(std::move(e)) {}
    std::shared_ptr<Exchange> exchange;
    bool ended = false;      // nothing follows
    bool streaming = false;  // its head is out
    bool comments = false;   // silence is broken by SSE comments
    bool cut = false;        // without a proper end
    size_t response_bytes = 0;
    Clock::time_point last_output{};
  };
  std::optional<Answer> answer_;

  // The request being answered.
  bool keep_alive_ = false, http10_ = false, head_only_ = false, chunked_ = false;
  int status_ = 0;
  size_t request_bytes_ = 0;
  size_t reserved_ = 0;  // of the memory for all requests together
  Clock::time_point request_start_{};
};

}  // namespace vllm::server
