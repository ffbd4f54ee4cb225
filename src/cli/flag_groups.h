#pragma once
// The two halves of the flag table: what is built (serve_flags.cc) and what is known only (known_flags.cc).
#include "cli/flag.h"

namespace vllm::cli {
extern const FlagGroup kBuiltGroups[];
extern const size_t kNumBuiltGroups;
extern const FlagGroup kGpuGroups[];
extern const size_t kNumGpuGroups;
extern const FlagGroup kProfilerGroup;
extern const FlagGroup kSpeculationGroup;
extern const FlagGroup kKnownGroups[];
extern const size_t kNumKnownGroups;
}  // namespace vllm::cli
