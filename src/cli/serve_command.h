#pragma once
#include <string>
#include <vector>

namespace vllm::cli {
/// `vllm serve ARGS`: returns the exit status (2 for a bad command line, 1 for a failed start or a dead engine).
int serve_command(const std::vector<std::string>& args);
}  // namespace vllm::cli
