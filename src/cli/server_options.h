#pragma once
#include "cli/serve_args.h"
#include "server/options.h"

namespace vllm::cli {
/// The front end's part of the flags and of the environment.
server::ServerOptions server_options(const ServeArgs& args);
}  // namespace vllm::cli
