#pragma once
// Where the host's time goes: named stretches of threads, recorded while a profile runs. One recorder per process, like
// the log: CUPTI has one too. While nothing records, a phase costs one relaxed load.
#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace vllm::profile {

struct Phase {
  const char* name = "";  // a literal
  int64_t begin_ns = 0, end_ns = 0;
  int64_t step = -1;                     // engine::StepId, or -1
  int32_t num_seqs = 0, num_tokens = 0;  // of a launch
  int32_t thread = 0;                    // as the kernel numbers it
};
struct PhaseLog {
  std::vector<Phase> phases;               // in order of their ends
  std::map<int32_t, std::string> threads;  // names
  int64_t dropped = 0;                     // beyond the limit of what is kept
};

/// The clock of everything in a trace: CLOCK_MONOTONIC.
int64_t now_ns();

namespace detail {
inline std::atomic<bool> recording{false};
void record(Phase phase);
}  // namespace detail

/// Forget what was recorded and record from here on.
void start_phases();
/// Stop, and take what was recorded.
PhaseLog take_phases();

/// A phase from here to the end of the scope.
class PhaseScope {
 public:
  explicit PhaseScope(const char* name, int64_t step = -1) {
    if (detail::recording.load(std::memory_order_relaxed)) {
      phase_.name = name, phase_.step = step;
      phase_.begin_ns = now_ns();
    }
  }
  PhaseScope(const PhaseScope&) = delete;
  PhaseScope& operator=(const PhaseScope&) = delete;
  ~PhaseScope() {
    if (phase_.begin_ns == 0) return;
    phase_.end_ns = now_ns();
    detail::record(phase_);
  }
  void set_step(int64_t step) { phase_.step = step; }
  void set_batch(size_t num_seqs, int64_t num_tokens) {
    phase_.num_seqs = static_cast<int32_t>(num_seqs), phase_.num_tokens = static_cast<int32_t>(num_tokens);
  }
  /// Do not record it: there was nothing to do.
  void cancel() { phase_.begin_ns = 0; }

 private:
  Phase phase_;
};

}  // namespace vllm::profile
