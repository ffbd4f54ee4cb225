#pragma once
// Which device a server computes on. Pure, so that every case is a test row.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/serve_args.h"

namespace vllm::cli {

struct DeviceQuestion {
  std::string_view flag = "auto";  // --device: auto, cuda or cpu
  std::string_view target;         // VLLM_TARGET_DEVICE
  bool built_with_cuda = false;
  std::function<std::string()> why_no_gpu;  // empty text: there is one. Asked at most once, and not in vain: it is slow
};

struct DeviceChoice {
  bool cuda = false;
  std::string warning;  // why it is the CPU where a GPU would have been taken
};

/// kUnavailable ("GPU not found: ...") if a GPU was asked for by flag or variable and none is usable.
Result<DeviceChoice> choose_device(const DeviceQuestion& question);
/// One warning for each flag that somebody set and that the CPU engine does not read.
std::vector<std::string> gpu_only_settings(const ServeArgs& args);

}  // namespace vllm::cli
