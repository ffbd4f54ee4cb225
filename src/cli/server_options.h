#pragma once
#include <string>

#include "cli/serve_args.h"
#include "server/options.h"

namespace vllm::cli {
/// The front end's part of the flags and of the environment.
server::ServerOptions server_options(const ServeArgs& args);
/// For the log, as vLLM says it: "http://0.0.0.0:8000", "unix:/run/vllm.sock". `port` is the bound one.
std::string listening_on(const server::ServerOptions& options, int port);
}  // namespace vllm::cli
