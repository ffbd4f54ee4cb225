#include "cli/signals.h"

#include <unistd.h>

#include <ctime>
#include <initializer_list>

namespace vllm::cli {
namespace {
sigset_t handled() {
  sigset_t set;
  sigemptyset(&set);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  return set;
}
}  // namespace

void block_signals() {
  std::signal(SIGPIPE, SIG_IGN);
  if (getpid() == 1) std::signal(SIGCHLD, SIG_IGN);  // nobody waits for children here: we have none of our own
  sigset_t set = handled();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int wait_signal(int timeout_ms) {
  sigset_t set = handled();
  timespec timeout{timeout_ms / 1000, (timeout_ms % 1000) * 1'000'000L};
  int signal = sigtimedwait(&set, nullptr, &timeout);
  return signal > 0 ? signal : 0;
}

}  // namespace vllm::cli
