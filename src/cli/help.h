#pragma once
// The texts of --help, printed from the flag table.
#include <span>
#include <string>
#include <string_view>

#include "cli/flag.h"

namespace vllm::cli {
/// What --help of one command says around its flags.
struct HelpPage {
  const FlagTable& flags;
  std::string_view usage;                       // "vllm serve [MODEL] [FLAGS]"
  std::string_view about;                       // one paragraph, wrapped by hand
  std::span<const std::string_view> most_used;  // flags of the short page
  std::string_view notes = {};                  // under the short page: environment, examples
};
/// Topic "short", "all", a group's title ("Frontend") or a flag ("max-model-len").
std::string help_text(const HelpPage& page, std::string_view topic);
/// Whether help_text has such a topic; for others it says so and names near flags.
bool has_help_topic(const HelpPage& page, std::string_view topic);

/// `vllm --help`.
std::string program_help();
/// `vllm serve --help`: topic "short", "all", a group's title ("Frontend") or a flag ("max-model-len").
std::string serve_help(std::string_view topic);
/// Whether serve_help has such a topic; for others it says so and names near flags.
bool is_help_topic(std::string_view topic);
}  // namespace vllm::cli
