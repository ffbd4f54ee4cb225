#pragma once
// --config FILE.yaml: flag names as keys, turned into the arguments that they stand for.
#include <string>
#include <vector>

#include "base/result.h"

namespace vllm::cli {

/// `key: value` to --key value, true to --key, false to --no-key, a list to several values, a mapping to JSON,
/// `model: X` to the positional X. kInvalidArgument names file and key.
Result<std::vector<std::string>> read_config_file(const std::string& path);

}  // namespace vllm::cli
