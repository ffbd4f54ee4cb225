#include <map>
#include <vector>

#include "cli/flag_groups.h"

namespace vllm::cli {
namespace {

std::vector<FlagGroup> join_groups() {
  std::vector<FlagGroup> groups(kBuiltGroups, kBuiltGroups + kNumBuiltGroups);
  groups.insert(groups.end(), kGpuGroups, kGpuGroups + kNumGpuGroups);
  groups.insert(groups.end(), kKnownGroups, kKnownGroups + kNumKnownGroups);
  return groups;
}

std::map<std::string_view, const Flag*> index_flags(std::string_view Flag::* key) {
  std::map<std::string_view, const Flag*> index;
  for (const FlagGroup& group : serve_flag_groups()) {
    for (const Flag& flag : group.flags) {
      if (!(flag.*key).empty()) index.emplace(flag.*key, &flag);
    }
  }
  return index;
}

const Flag* look_up(const std::map<std::string_view, const Flag*>& index, std::string_view name) {
  auto it = index.find(name);
  return it == index.end() ? nullptr : it->second;
}

}  // namespace

std::span<const FlagGroup> serve_flag_groups() {
  static const std::vector<FlagGroup> groups = join_groups();
  return groups;
}

const Flag* find_flag(std::string_view name) {
  static const auto index = index_flags(&Flag::name);
  return look_up(index, name);
}

const Flag* find_short_flag(std::string_view short_name) {
  static const auto index = index_flags(&Flag::short_name);
  return look_up(index, short_name);
}

}  // namespace vllm::cli
