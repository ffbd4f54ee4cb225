#pragma once
// Is a client's regular expression well-formed? PCRE2 behind one function.
#include <optional>
#include <string>
#include <string_view>

namespace vllm::api {
/// What is wrong with the pattern, or nullopt. Compiles only: no matching, so no time to lose.
std::optional<std::string> regex_error(std::string_view pattern);
}  // namespace vllm::api
