#pragma once
// One I/O thread's event loop and the connections that live on it.
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

namespace vllm::server {

class Connection;

struct Loop {
  boost::asio::io_context context{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{context.get_executor()};
  // Opens the loop's descriptors now: when they have run out it is too late.
  boost::asio::generic::stream_protocol::socket reactor{context};
  std::unordered_set<Connection*> connections;  // touched on the loop's thread only
  bool stopping = false;                        // likewise: new connections are closed at once

  /// Any thread: have `connection` look at its exchange. What comes while the loop is busy shares one turn of it.
  void wake(const std::weak_ptr<Connection>& connection);

  // For pump(): one pair for all connections stays in the cache.
  std::string taken, framed;

 private:
  void visit_woken();

  std::mutex mutex_;  // guards the two below
  std::vector<std::weak_ptr<Connection>> woken_;
  bool turn_posted_ = false;
  std::vector<std::weak_ptr<Connection>> visited_;  // of visit_woken(): keeps its memory
};

}  // namespace vllm::server
