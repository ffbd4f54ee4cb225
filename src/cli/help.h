#pragma once
// The texts of --help, printed from the flag table.
#include <string>
#include <string_view>

namespace vllm::cli {
/// `vllm --help`.
std::string program_help();
/// `vllm serve --help`: topic "short", "all", a group's title ("Frontend") or a flag ("max-model-len").
std::string serve_help(std::string_view topic);
/// Whether serve_help has such a topic; for others it says so and names near flags.
bool is_help_topic(std::string_view topic);
}  // namespace vllm::cli
