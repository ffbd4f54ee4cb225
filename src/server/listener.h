#pragma once
// Binds the addresses of the options and hands accepted sockets to the loops in turn.
#include <memory>
#include <vector>

#include "base/result.h"
#include "server/app.h"
#include "server/loop.h"

namespace vllm::server {

class Listener {
 public:
  Listener(std::shared_ptr<App> app, std::vector<std::shared_ptr<Loop>> loops);
  ~Listener();
  /// Bind and listen everywhere. kUnavailable if an address is in use, kInvalidArgument if a host doesn't resolve.
  Status open();
  uint16_t port() const;
  /// Begin to accept, on the first loop.
  void start();
  /// On the first loop's thread (or when no thread runs): accept no more.
  void close();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace vllm::server
