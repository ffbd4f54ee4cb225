#pragma once
// The flag tables of the bench commands.
#include <string>
#include <vector>

#include "bench/args.h"
#include "cli/flag.h"
#include "cli/help.h"
#include "cli/setters.h"

namespace vllm::bench {

const cli::HelpPage& serve_page();
const cli::HelpPage& latency_page();
const cli::HelpPage& throughput_page();
const cli::HelpPage& roofline_page();
const cli::HelpPage& startup_page();

/// The rows of DatasetArgs.
std::span<const cli::Flag> dataset_flags();
/// Flags of `bench startup` itself: all others go to the server that it starts.
std::span<const cli::Flag> startup_flags();

using cli::set;
using cli::set_int;

}  // namespace vllm::bench
