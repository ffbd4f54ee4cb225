#pragma once
// `vllm serve` as a child process, for measuring how it starts.
#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace vllm::bench {

struct StartTimes {
  double healthy_s = 0;      // exec to the first 200 of /health
  double first_token_s = 0;  // exec to the first byte of the first streamed event
};

class ChildServer {
 public:
  /// Run this very binary with `serve` and `flags` on a free port of the loopback interface. Its output goes to a
  /// temporary file, whose end an error shows. It dies with us.
  static Result<StartTimes> measure(const std::vector<std::string>& flags, double timeout_s);

 private:
  ChildServer() = default;
  ~ChildServer();
  ChildServer(const ChildServer&) = delete;
  Status spawn(const std::vector<std::string>& flags);
  Status wait_healthy(double deadline);
  Status wait_first_token(double deadline);
  /// An error with the last lines that the child wrote.
  Error failure(const std::string& what);
  bool has_ended();

  pid_t pid_ = 0;
  int log_fd_ = -1;
  uint16_t port_ = 0;
  double begin_ = 0;
};

}  // namespace vllm::bench
