#include <utility>
#include <vector>

#include "cli/flag_groups.h"

namespace vllm::cli {
namespace {

std::vector<FlagGroup> join_groups() {
  std::vector<FlagGroup> groups(kBuiltGroups, kBuiltGroups + kNumBuiltGroups);
  groups.insert(groups.end(), kGpuGroups, kGpuGroups + kNumGpuGroups);
  groups.push_back(kProfilerGroup);
  groups.push_back(kSpeculationGroup);
  groups.insert(groups.end(), kKnownGroups, kKnownGroups + kNumKnownGroups);
  return groups;
}

const Flag* look_up(const std::map<std::string_view, const Flag*>& index, std::string_view name) {
  auto it = index.find(name);
  return it == index.end() ? nullptr : it->second;
}

}  // namespace

FlagTable::FlagTable(std::vector<FlagGroup> groups) : groups_(std::move(groups)) {
  for (const FlagGroup& group : groups_) {
    for (const Flag& flag : group.flags) {
      by_name_.emplace(flag.name, &flag);
      if (!flag.short_name.empty()) by_short_name_.emplace(flag.short_name, &flag);
    }
  }
}

const Flag* FlagTable::find(std::string_view name) const { return look_up(by_name_, name); }
const Flag* FlagTable::find_short(std::string_view short_name) const { return look_up(by_short_name_, short_name); }

const FlagTable& serve_flags() {
  static const FlagTable table(join_groups());
  return table;
}

std::span<const FlagGroup> serve_flag_groups() { return serve_flags().groups(); }

}  // namespace vllm::cli
