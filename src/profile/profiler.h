#pragma once
// One recording at a time: phases of our threads and, where there is one, the activities of a GPU, into a trace file.
#include <filesystem>
#include <memory>
#include <mutex>

#include "profile/gpu_trace.h"
#include "profile/summary.h"

namespace vllm::profile {

class Profiler {
 public:
  /// Traces go to `dir`, which is made. `gpu` may be null: phases alone.
  Profiler(std::filesystem::path dir, std::unique_ptr<GpuTracer> gpu) : dir_(std::move(dir)), gpu_(std::move(gpu)) {}

  /// kInvalidArgument while one is running; kNotFound where the folder cannot be made. Any thread.
  Status start();
  struct Report {
    std::filesystem::path file;
    Summary summary;
    size_t num_activities = 0;
    int64_t dropped = 0;  // records beyond what is kept
  };
  /// Write what was recorded; kInvalidArgument where none is running.
  Result<Report> stop();

 private:
  const std::filesystem::path dir_;
  std::mutex mutex_;  // guards what follows
  std::unique_ptr<GpuTracer> gpu_;
  bool running_ = false;
  int64_t begin_ns_ = 0;
};

/// The trace of a recording: tracks of the host's threads, then of the GPU's streams.
void write_trace(std::ostream& out, const PhaseLog& phases, const GpuTrace& gpu, int64_t origin_ns,
                 const json::object& other_data);

}  // namespace vllm::profile
