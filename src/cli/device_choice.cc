#include "cli/device_choice.h"

namespace vllm::cli {

Result<DeviceChoice> choose_device(const DeviceQuestion& q) {
  const bool demanded = q.flag == "cuda" || (q.flag == "auto" && q.target == "cuda");
  if (q.flag == "cpu" || (q.flag == "auto" && q.target == "cpu")) return DeviceChoice{};
  if (!demanded && !q.built_with_cuda) return DeviceChoice{};
  std::string why = q.why_no_gpu();
  if (why.empty()) return DeviceChoice{.cuda = true, .warning = {}};
  if (demanded) return Error{ErrorCode::kUnavailable, std::move(why), "device"};
  return DeviceChoice{.cuda = false, .warning = "Computing on the CPU. " + why};
}

std::vector<std::string> gpu_only_settings(const ServeArgs& args) {
  std::vector<std::string> warnings;
  for (const char* flag : {"gpu-memory-utilization", "device-memory-utilization", "enforce-eager",
                           "max-cudagraph-capture-size", "optimization-level"}) {
    auto it = args.settings.find(flag);
    if (it == args.settings.end()) continue;
    warnings.push_back(fmt::format("--{} {} ({}) has no effect on the CPU", flag, it->second.value, it->second.source));
  }
  return warnings;
}

}  // namespace vllm::cli
