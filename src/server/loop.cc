#include "server/loop.h"

#include <boost/asio/post.hpp>
#include <utility>

#include "base/log.h"
#include "server/connection.h"

namespace vllm::server {

void Loop::wake(const std::weak_ptr<Connection>& connection) {
  {
    std::lock_guard lock(mutex_);
    woken_.push_back(connection);
    if (std::exchange(turn_posted_, true)) return;
  }
  boost::asio::post(context, [this] { visit_woken(); });
}

void Loop::visit_woken() {
  {
    std::lock_guard lock(mutex_);
    visited_.swap(woken_);
    turn_posted_ = false;
  }
  for (const std::weak_ptr<Connection>& weak : visited_) {
    const std::shared_ptr<Connection> connection = weak.lock();
    if (!connection) continue;
    try {
      connection->on_output();
    } catch (const std::exception& e) {  // out of memory: this connection ends, the others are still visited
      LOG_ERROR("connection: {}", e.what());
      connection->cut();
    }
  }
  visited_.clear();
}

}  // namespace vllm::server
