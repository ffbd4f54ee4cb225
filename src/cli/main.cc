// vllm: the program.
#include <cstdio>
#include <string>
#include <vector>

#include "base/version.h"
#include "bench/bench_command.h"
#include "cli/health_command.h"
#include "cli/help.h"
#include "cli/serve_command.h"
#include "cli/signals.h"

int main(int argc, char** argv) {
  std::vector<std::string> args(argv + 1, argv + argc);
  std::string command = args.empty() ? "--help" : args[0];
  if (command == "bench") return vllm::bench::bench_command({args.begin() + 1, args.end()});
  if (command == "health") return vllm::cli::health_command({args.begin() + 1, args.end()});
  vllm::cli::block_signals();
  if (command == "serve") return vllm::cli::serve_command({args.begin() + 1, args.end()});
  if (command == "--version" || command == "-v" || command == "version") {
    std::printf("%s\n", vllm::kVersion);
    return 0;
  }
  bool help = command == "--help" || command == "-h" || command == "help";
  if (!help && command.starts_with('-')) {
    std::fprintf(stderr, "vllm: a command must come first: vllm serve %s ...\n\n", command.c_str());
  } else if (!help) {
    std::fprintf(stderr, "vllm: unknown command '%s'\n\n", command.c_str());
  }
  std::fputs(vllm::cli::program_help().c_str(), help ? stdout : stderr);
  return help ? 0 : 2;
}
