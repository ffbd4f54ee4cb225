// Any command line: one argument per line.
#include <cstdint>
#include <string>
#include <vector>

#include "cli/help.h"
#include "cli/parser.h"
#include "cli/serve_args.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<std::string> args(1);
  for (size_t i = 0; i < size; ++i) {
    if (data[i] == '\n') {
      args.emplace_back();
    } else {
      args.back() += static_cast<char>(data[i]);
    }
  }
  auto parsed = vllm::cli::parse_args(args);
  if (!parsed) return 0;
  for (const auto& assignment : parsed->assignments) {
    (void)vllm::cli::parse_value(*assignment.flag, assignment.values);
    if (assignment.flag->name == "config") return 0;  // no files
  }
  if (!parsed->help_topic.empty()) (void)vllm::cli::serve_help(parsed->help_topic);
  if (auto line = vllm::cli::read_serve_command_line(args, "")) (void)vllm::cli::describe_settings(line->args);
  return 0;
}
