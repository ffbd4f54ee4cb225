#pragma once
// POST /start_profile and /stop_profile: answered by a thread of their own, as writing a trace takes a while.
#include <functional>
#include <thread>

#include "base/queue.h"
#include "profile/profiler.h"
#include "server/api.h"

namespace vllm::cli {

class ProfileEndpoints {
 public:
  explicit ProfileEndpoints(profile::Profiler& profiler);
  ~ProfileEndpoints();
  /// The functions of `api` point here from now on.
  void add_to(server::Api& api);

 private:
  void push(std::function<Status()> job, server::Writer writer);
  Status start();
  Status stop();

  profile::Profiler& profiler_;
  Queue<std::function<void()>> jobs_{16};
  std::thread thread_;
};

}  // namespace vllm::cli
