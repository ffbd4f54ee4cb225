#include "profile/phases.h"

#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <mutex>
#include <utility>

namespace vllm::profile {
namespace {

constexpr size_t kMaxPhases = 1u << 20;

struct Recorder {
  std::mutex mutex;  // guards log
  PhaseLog log;
};
Recorder& recorder() {
  static auto* one = new Recorder;  // never destroyed: threads may outlive main's statics
  return *one;
}

}  // namespace

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void detail::record(Phase phase) {
  thread_local const auto thread = static_cast<int32_t>(::gettid());
  phase.thread = thread;
  Recorder& r = recorder();
  std::lock_guard lock(r.mutex);
  if (!recording.load(std::memory_order_relaxed)) return;
  if (r.log.phases.size() >= kMaxPhases) {
    ++r.log.dropped;
    return;
  }
  r.log.phases.push_back(phase);
  if (auto [it, fresh] = r.log.threads.try_emplace(thread); fresh) {
    char name[16] = "";
    if (::pthread_getname_np(::pthread_self(), name, sizeof name) == 0) it->second = name;
  }
}

void start_phases() {
  Recorder& r = recorder();
  std::lock_guard lock(r.mutex);
  r.log = {};
  detail::recording = true;
}

PhaseLog take_phases() {
  Recorder& r = recorder();
  std::lock_guard lock(r.mutex);
  detail::recording = false;
  return std::exchange(r.log, {});
}

}  // namespace vllm::profile
