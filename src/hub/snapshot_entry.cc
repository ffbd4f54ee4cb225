#include "hub/snapshot_entry.h"

#include <unistd.h>

#include <string>

#include "hub/cache_layout.h"

namespace vllm {
namespace fs = std::filesystem;

bool is_whole_file(const fs::path& path, std::optional<uint64_t> size) {
  std::error_code failed;
  if (!fs::is_regular_file(path, failed)) return false;
  uint64_t actual = fs::file_size(path, failed);
  return !failed && (!size || actual == *size);
}

Status add_to_snapshot(const SnapshotEntry& place) {
  RETURN_IF_ERROR(make_cache_folder(place.entry.parent_path()));
  fs::path draft = place.entry;
  draft += "." + std::to_string(::getpid()) + ".tmp";
  std::error_code failed;
  fs::remove(draft, failed);
  if (place.use_link) fs::create_symlink(fs::relative(place.blob, place.entry.parent_path(), failed), draft, failed);
  if (!place.use_link || failed) {
    failed.clear();
    if (place.may_move) {
      fs::rename(place.blob, draft, failed);
    } else {
      fs::copy_file(place.blob, draft, failed);
    }
  }
  if (!failed) fs::rename(draft, place.entry, failed);
  if (!failed) return Status::ok();
  return error(failed == std::errc::no_space_on_device ? ErrorCode::kResourceExhausted : ErrorCode::kInternal,
               "cannot make {}: {}", place.entry.string(), failed.message());
}

}  // namespace vllm
