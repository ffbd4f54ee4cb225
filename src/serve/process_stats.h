#pragma once
// What prometheus_client's process collector reads of our own process.
namespace vllm::serve {

struct ProcessStats {
  double virtual_bytes = 0, resident_bytes = 0;
  double start_time_s = 0;  // since the epoch
  double cpu_s = 0;         // user and system, all threads
  double open_fds = 0, max_fds = 0;
};

/// Zeros where /proc can't be read.
ProcessStats read_process_stats();

}  // namespace vllm::serve
