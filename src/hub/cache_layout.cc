#include "hub/cache_layout.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include "base/env.h"
#include "base/mapped_file.h"
#include "hub/repo_id.h"

namespace vllm {
namespace fs = std::filesystem;
namespace {

std::string repo_folder_name(std::string_view repo_id) {
  std::string name = "models--" + std::string(repo_id);
  if (size_t slash = name.find('/'); slash != name.npos) name.replace(slash, 1, "--");
  return name;
}

bool is_name_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

}  // namespace

std::string expand_path(std::string path) {
  if (path == "~" || path.starts_with("~/")) {
    if (auto home = env("HOME")) path.replace(0, 1, *home);
  }
  std::string expanded;
  for (size_t i = 0; i < path.size();) {
    bool braced = path.compare(i, 2, "${") == 0;
    size_t begin = i + (braced ? 2 : 1), end = begin;
    while (end < path.size() && is_name_char(path[end])) ++end;
    bool whole = path[i] == '$' && end > begin && (!braced || (end < path.size() && path[end] == '}'));
    auto value = whole ? env(path.substr(begin, end - begin).c_str()) : std::nullopt;
    if (value) {
      expanded += *value;
      i = end + (braced ? 1 : 0);
    } else {
      expanded += path[i++];
    }
  }
  return expanded;
}

Result<fs::path> hf_home() {
  if (auto home = env("HF_HOME")) return fs::path(expand_path(*home));
  if (auto cache = env("XDG_CACHE_HOME")) return fs::path(expand_path(*cache)) / "huggingface";
  if (auto home = env("HOME")) return fs::path(*home) / ".cache" / "huggingface";
  return invalid_argument(
      "no folder for models: neither HF_HOME nor HOME is set. Set HF_HOME to a folder that can be written to, "
      "or pass --download-dir");
}

Result<fs::path> hub_cache_folder(const std::string& download_dir) {
  if (!download_dir.empty()) return fs::path(expand_path(download_dir));
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (auto folder = env(name)) return fs::path(expand_path(*folder));
  }
  ASSIGN_OR_RETURN(fs::path home, hf_home());
  return home / "hub";
}

RepoCache::RepoCache(fs::path cache, std::string_view repo_id)
    : folder_(cache / repo_folder_name(repo_id)), locks_(cache / ".locks" / repo_folder_name(repo_id)) {}

std::optional<std::string> RepoCache::commit_of(std::string_view revision) const {
  if (is_commit_hash(revision)) return std::string(revision);
  if (!is_safe_repo_path(revision)) return std::nullopt;
  auto text = read_file(folder_ / "refs" / revision, 256);
  if (!text) return std::nullopt;
  while (!text->empty() && std::isspace(static_cast<unsigned char>(text->back()))) text->pop_back();
  if (!is_commit_hash(*text)) return std::nullopt;
  return *text;
}

Status RepoCache::set_commit(std::string_view revision, std::string_view commit) const {
  if (revision == commit || commit_of(revision) == commit) return Status::ok();
  fs::path ref = folder_ / "refs" / revision, draft = ref;
  draft += "." + std::to_string(::getpid()) + ".tmp";
  RETURN_IF_ERROR(make_cache_folder(ref.parent_path()));
  {
    std::ofstream out(draft, std::ios::binary);
    out << commit;
    if (!out.flush())
      return error(ErrorCode::kResourceExhausted, "cannot write {}: {}", draft.string(), std::strerror(errno));
  }
  std::error_code failed;
  fs::rename(draft, ref, failed);
  if (failed) return error(ErrorCode::kInternal, "cannot write {}: {}", ref.string(), failed.message());
  return Status::ok();
}

std::vector<std::string> cached_models(const fs::path& cache) {
  constexpr std::string_view kPrefix = "models--";
  constexpr size_t kMaxModels = 10'000;
  std::vector<std::string> ids;
  std::error_code failed;
  for (fs::directory_iterator it(cache, failed), end; !failed && it != end && ids.size() < kMaxModels;
       it.increment(failed)) {
    std::string name = it->path().filename().string();
    if (!name.starts_with(kPrefix)) continue;
    std::string id = name.substr(kPrefix.size());
    if (size_t dashes = id.find("--"); dashes != id.npos) id.replace(dashes, 2, "/");
    ids.push_back(std::move(id));
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

Status make_cache_folder(const fs::path& folder) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (!failed) return Status::ok();
  return error(
      failed == std::errc::no_space_on_device ? ErrorCode::kResourceExhausted : ErrorCode::kPermissionDenied,
      "cannot make the folder {}: {}. Set HF_HOME to a folder that can be written to, or pass --download-dir (in a "
      "container: mount one there)",
      folder.string(), failed.message());
}

}  // namespace vllm
