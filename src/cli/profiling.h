#pragma once
// The profiler that --profiler-config and --profile ask for.
#include <memory>
#include <string>

#include "cli/serve_args.h"
#include "profile/profiler.h"

namespace vllm::cli {

/// `cuda`: record the GPU too; kNotFound without libcupti.
Result<std::unique_ptr<profile::Profiler>> make_profiler(const ServeArgs& args, bool cuda);

/// Stop it, and say what it found: lines for a terminal or a log.
Result<std::string> stop_and_describe(profile::Profiler& profiler);

}  // namespace vllm::cli
