#pragma once
// `vllm bench serve | latency | throughput | roofline | startup`.
#include <string>
#include <vector>

#include "cli/help.h"
#include "cli/serve_args.h"

namespace vllm::bench {

/// Runs one of them; the exit status: 0, 1 (it failed), 2 (a bad command line).
int bench_command(const std::vector<std::string>& argv);

int serve_bench(const std::vector<std::string>& argv);
int latency_bench(const std::vector<std::string>& argv);
int throughput_bench(const std::vector<std::string>& argv);
int roofline_bench(const std::vector<std::string>& argv);
int startup_bench(const std::vector<std::string>& argv);

/// Read a command line into `args`; the exit status if that ends the command (--help, an error).
std::optional<int> read_flags(const cli::HelpPage& page, const std::vector<std::string>& argv, cli::ServeArgs& args);
/// Print "vllm bench: error: ..." and return 1.
int failed(const Error& error);

}  // namespace vllm::bench
