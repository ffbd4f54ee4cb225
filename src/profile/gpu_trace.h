#pragma once
// What a device did while a profile ran.
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace vllm::profile {

struct GpuActivity {
  enum class Kind : uint8_t {
    kKernel,
    kMemcpy,
    kMemset,
    kApi,  // a call of the CUDA runtime, on the host: `stream` is the thread
  };
  Kind kind = Kind::kKernel;
  bool in_graph = false;
  uint16_t registers = 0;  // per thread
  uint32_t name = 0;       // index into GpuTrace::names
  uint32_t stream = 0;
  uint32_t correlation = 0;          // equal for a call and what it launched
  int64_t begin_ns = 0, end_ns = 0;  // now_ns()
  int64_t step = -1;                 // engine::StepId whose launch it belongs to, or -1
  int32_t grid[3] = {}, block[3] = {};
  int32_t shared_bytes = 0;
  uint64_t bytes = 0;  // of a copy or fill
};

struct GpuTrace {
  std::vector<GpuActivity> activities;
  std::vector<std::string> names;  // demangled
  int64_t dropped = 0;             // beyond the limit of what is kept
};

/// Records a device's activities.
class GpuTracer {
 public:
  virtual ~GpuTracer() = default;
  virtual Status start() = 0;
  /// What happened since start(); the device should be idle.
  virtual Result<GpuTrace> stop() = 0;
};

}  // namespace vllm::profile
