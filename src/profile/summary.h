#pragma once
// The figures of a profile: where a GPU's time goes, and how long it waits between two decode steps.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/json.h"
#include "profile/gpu_trace.h"
#include "profile/phases.h"

namespace vllm::profile {

/// Steps of one kind.
struct StepFigures {
  struct Kernel {
    std::string name;
    int64_t count = 0;
    int64_t total_ns = 0;  // from the end of what ran before: a kernel that starts early waits first
  };
  int64_t num_steps = 0;
  int64_t num_seqs = 0, num_tokens = 0;  // sums
  int64_t span_ns = 0;                   // sum of: first begin to last end on the GPU
  int64_t busy_ns = 0;                   // of it, time in which something ran
  std::vector<Kernel> kernels;           // by time, longest first; copies and fills too
};

struct Summary {
  StepFigures decode;  // every sequence ran one token
  StepFigures other;   // with prefill
  // From the last end of a decode step to the first begin of the next, which is one too; ascending. Kernels that start
  // early (programmatic launch) count as 0.
  std::vector<int64_t> idle_ns;
  // From the first begin of a decode step to that of the next, which has as many sequences; ascending, by that number.
  std::map<int64_t, std::vector<int64_t>> period_ns;
  // Time per host phase.
  struct HostPhase {
    std::string name;
    int64_t count = 0, total_ns = 0, longest_ns = 0;
  };
  std::vector<HostPhase> phases;
};

Summary summarize(const PhaseLog& phases, const GpuTrace& gpu);

/// The value below which `percent` of an ascending list lie (nearest rank); 0 for an empty one.
int64_t percentile_of(const std::vector<int64_t>& ascending, double percent);

/// Tables, at most `rows` kernels each.
std::string to_text(const Summary& summary, size_t rows);
json::object to_json(const Summary& summary);

}  // namespace vllm::profile
