#include "bench/bench_command.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>

namespace vllm::bench {
namespace {

constexpr const char* kHelp =
    "usage: vllm bench COMMAND [FLAGS]\n\n"
    "  serve        send prompts to a running OpenAI-compatible server; throughput, TTFT, TPOT, ITL\n"
    "  latency      time of one batch, in this process\n"
    "  throughput   many prompts at once, in this process\n"
    "  roofline     what this CPU could do, and how much of it each kernel reaches for a model\n"
    "  startup      start `vllm serve` again and again: time until it is healthy, and until its first token\n\n"
    "Flags, output and result files are named as in vLLM. Try `vllm bench serve --help`.\n";

struct Command {
  std::string_view name;
  int (*run)(const std::vector<std::string>& argv);
};
constexpr Command kCommands[] = {{"serve", serve_bench},
                                 {"latency", latency_bench},
                                 {"throughput", throughput_bench},
                                 {"roofline", roofline_bench},
                                 {"startup", startup_bench}};

}  // namespace

int bench_command(const std::vector<std::string>& argv) {
  // Also as PID 1 of a container, where the default action of a signal is none.
  for (int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int number) { _exit(128 + number); });
  std::signal(SIGPIPE, SIG_IGN);
  std::string name = argv.empty() ? "--help" : argv[0];
  for (const Command& command : kCommands) {
    if (name == command.name) return command.run({argv.begin() + 1, argv.end()});
  }
  bool help = name == "--help" || name == "-h" || name == "help";
  if (!help) std::fprintf(stderr, "vllm bench: unknown command '%s'\n\n", name.c_str());
  std::fputs(kHelp, help ? stdout : stderr);
  return help ? 0 : 2;
}

std::optional<int> read_flags(const cli::HelpPage& page, const std::vector<std::string>& argv, cli::ServeArgs& args) {
  cli::CommandLine line{page.flags, args, {}, {}};
  if (Status status = cli::read_command_line(line, argv, ""); !status) {
    std::fprintf(stderr, "vllm bench: error: %s\n", status.error().message.c_str());
    return 2;
  }
  if (!line.help_topic.empty()) {
    bool known = cli::has_help_topic(page, line.help_topic);
    std::fputs(cli::help_text(page, line.help_topic).c_str(), known ? stdout : stderr);
    return known ? 0 : 2;
  }
  for (const std::string& warning : line.warnings) std::fprintf(stderr, "WARNING: %s\n", warning.c_str());
  return std::nullopt;
}

int failed(const Error& error) {
  std::fflush(stdout);
  std::fprintf(stderr, "vllm bench: error: %s\n", error.message.c_str());
  return 1;
}

}  // namespace vllm::bench
