#pragma once
// Numbered weight files: "model-00002-of-00003.safetensors".
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vllm {

struct ShardName {
  std::string stem, extension;  // before and after the numbers: "model", ".safetensors"; the stem keeps its folders
  int count = 0;
  friend bool operator==(const ShardName&, const ShardName&) = default;
};

/// nullopt if `path` is no numbered file.
std::optional<ShardName> parse_shard_name(std::string_view path);
/// All files of the set, in order.
std::vector<std::string> whole_set(const ShardName& shard);

}  // namespace vllm
