#include "hub/cache_choice.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>

#include "base/env.h"
#include "base/log.h"
#include "hub/cache_layout.h"

namespace vllm {
namespace fs = std::filesystem;
namespace {

bool was_named(const std::string& download_dir) {
  if (!download_dir.empty()) return true;
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"}) {
    if (env(name)) return true;
  }
  return false;
}

bool holds(const fs::path& cache, std::string_view repo_id) {
  std::error_code failed;
  return fs::is_directory(RepoCache(cache, repo_id).folder() / "snapshots", failed);
}

// The folder, or if it is not there the first parent that is, takes new files. The effective user counts, and what of
// root's rights the container left.
bool can_write(fs::path folder) {
  std::error_code failed;
  while (!fs::exists(fs::symlink_status(folder, failed)) && folder.has_relative_path()) folder = folder.parent_path();
  return fs::is_directory(folder, failed) && faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0;
}

// /tmp is everybody's: only a folder that is this user's own, and nobody else may write to, is trusted.
bool make_own(const fs::path& folder) {
  ::mkdir(folder.c_str(), 0700);
  struct stat info{};
  return ::lstat(folder.c_str(), &info) == 0 && S_ISDIR(info.st_mode) && info.st_uid == ::geteuid() &&
         (info.st_mode & 022) == 0;
}

fs::path temporary_root() { return fs::path(env("TMPDIR").value_or("/tmp")) / fmt::format("vllm-{}", ::geteuid()); }

void say_once(const fs::path& chosen, const Result<fs::path>& usual) {
  static std::atomic<bool> said{false};
  if (said.exchange(true)) return;
  LOG_INFO("Models are kept in {}: {}. Set HF_HOME, or mount a volume there, to choose another place", chosen.string(),
           usual ? usual->string() + " cannot be written to" : "HOME is not set");
}

}  // namespace

std::vector<fs::path> fallback_caches() {
  return {"/root/.cache/huggingface/hub", "/var/cache/vllm/huggingface/hub", temporary_root() / "huggingface" / "hub"};
}

Result<fs::path> choose_cache_folder(const std::string& download_dir, std::string_view repo_id,
                                     const std::vector<fs::path>& fallbacks) {
  Result<fs::path> usual = hub_cache_folder(download_dir);
  if (was_named(download_dir) || (usual && (can_write(*usual) || holds(*usual, repo_id)))) return usual;
  const fs::path temporary = temporary_root();
  auto trusted = [&](const fs::path& cache) {
    return cache.parent_path().parent_path() != temporary || make_own(temporary);
  };
  for (const fs::path& cache : fallbacks) {
    if (!holds(cache, repo_id) || !trusted(cache)) continue;
    say_once(cache, usual);
    return cache;
  }
  for (const fs::path& cache : fallbacks) {
    if (!can_write(cache) || !trusted(cache)) continue;
    say_once(cache, usual);
    return cache;
  }
  return usual;
}

}  // namespace vllm
