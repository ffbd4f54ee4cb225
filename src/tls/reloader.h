#pragma once
// The certificate of a running server, taken again when its files change.
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "tls/context.h"

namespace vllm::tls {

class Reloader {
 public:
  static Result<std::unique_ptr<Reloader>> make(ServerSettings settings);

  /// For the next connection. Any thread.
  std::shared_ptr<const Context> context() const;
  /// Look at the files; call it every second or so, from one thread. What has changed since the last call is left to
  /// settle until the next one (certificate and key are rarely replaced in one moment), then loaded. Files that can't
  /// be used are logged once, and the old context stays.
  void check();

 private:
  Reloader(ServerSettings settings, std::shared_ptr<const Context> context);
  std::string state_of_files() const;

  const ServerSettings settings_;
  std::string loaded_, seen_;  // states; of check()'s thread
  mutable std::mutex mutex_;   // guards context_
  std::shared_ptr<const Context> context_;
};

}  // namespace vllm::tls
