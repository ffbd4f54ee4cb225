#include "hub/shard_name.h"

#include <fmt/format.h>

#include <algorithm>

namespace vllm {

std::optional<ShardName> parse_shard_name(std::string_view path) {
  constexpr std::string_view kPattern = "-ddddd-of-ddddd";
  size_t dot = path.rfind('.');
  if (dot == path.npos || dot < kPattern.size()) return std::nullopt;
  std::string_view suffix = path.substr(dot - kPattern.size(), kPattern.size());
  for (size_t i = 0; i < kPattern.size(); ++i) {
    bool digit = suffix[i] >= '0' && suffix[i] <= '9';
    if (kPattern[i] == 'd' ? !digit : suffix[i] != kPattern[i]) return std::nullopt;
  }
  ShardName name{std::string(path.substr(0, dot - kPattern.size())), std::string(path.substr(dot)), 0};
  for (char c : suffix.substr(suffix.size() - 5)) name.count = name.count * 10 + (c - '0');
  return name;
}

std::vector<std::string> whole_set(const ShardName& shard) {
  std::vector<std::string> names;
  for (int i = 1; i <= shard.count; ++i)
    names.push_back(fmt::format("{}-{:05}-of-{:05}{}", shard.stem, i, shard.count, shard.extension));
  return names;
}

}  // namespace vllm
