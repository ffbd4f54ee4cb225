#include "cli/entry_words.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>

namespace vllm::cli {
namespace {

using Words = std::vector<std::string_view>;

const std::array<Words, 4> kEntries = {Words{"vllm", "serve"}, Words{"serve"},
                                       Words{"python3", "-m", "vllm.entrypoints.openai.api_server"},
                                       Words{"python", "-m", "vllm.entrypoints.openai.api_server"}};
constexpr std::array<std::string_view, 4> kShells = {"bash", "sh", "/bin/bash", "/bin/sh"};

}  // namespace

Result<std::vector<std::string>> without_entry_words(std::vector<std::string> argv,
                                                     std::vector<std::string>& warnings) {
  if (argv.empty()) return argv;
  const bool alone = argv.size() == 1 || argv[1].starts_with('-');
  if (alone && std::find(kShells.begin(), kShells.end(), argv[0]) != kShells.end()) {
    return invalid_argument(
        "'{0}' is no model: these are the arguments of `vllm serve`. For a shell in the image: docker run -it "
        "--entrypoint {0} IMAGE",
        argv[0]);
  }
  std::error_code ignored;
  for (const Words& words : kEntries) {
    if (argv.size() < words.size() || !std::equal(words.begin(), words.end(), argv.begin())) continue;
    if (words.size() == 1 && std::filesystem::exists(words[0], ignored)) continue;  // a model's folder of that name
    warnings.push_back(
        fmt::format("'{}' before the arguments is ignored: it is what runs already (an image's entry point)",
                    fmt::join(words, " ")));
    argv.erase(argv.begin(), argv.begin() + static_cast<std::ptrdiff_t>(words.size()));
    break;
  }
  return argv;
}

}  // namespace vllm::cli
