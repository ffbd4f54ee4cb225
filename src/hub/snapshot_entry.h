#pragma once
// A file's place in a snapshot: a relative link to its blob, or the file itself where links are not possible.
#include <cstdint>
#include <filesystem>
#include <optional>

#include "base/result.h"

namespace vllm {

struct SnapshotEntry {
  std::filesystem::path blob, entry;
  bool use_link = true;
  bool may_move = false;  // nobody else uses the blob yet: without links it is moved, not copied
};
/// Make `entry` from `blob`, in one step for whoever looks.
Status add_to_snapshot(const SnapshotEntry& place);

/// True for a regular file (links followed) of `size` bytes, if one is given.
bool is_whole_file(const std::filesystem::path& path, std::optional<uint64_t> size);

}  // namespace vllm
