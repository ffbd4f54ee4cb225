#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace vllm::cli {

/// Drop the words with which `vllm serve`'s arguments repeat the program itself: `serve`, `vllm serve` or
/// `python3 -m vllm.entrypoints.openai.api_server` at their front. Images of ours start `vllm serve` already, others
/// don't, and compose files are carried from one to the other. What was dropped is told in `warnings`.
/// kInvalidArgument for a shell in place of a model: the message says how to get one.
Result<std::vector<std::string>> without_entry_words(std::vector<std::string> argv, std::vector<std::string>& warnings);

}  // namespace vllm::cli
