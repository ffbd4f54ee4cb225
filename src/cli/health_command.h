#pragma once
// `vllm health [URL]`: is the server of this machine (or container) up? The image's HEALTHCHECK.
#include <string>
#include <vector>

namespace vllm::cli {

/// 0: every running `vllm serve` answers /health with 200, or none runs (a container may do something else); 1: one
/// does not, and one line says why; 2: wrong arguments. With a URL that server is asked, and must be there.
int health_command(const std::vector<std::string>& argv);

}  // namespace vllm::cli
