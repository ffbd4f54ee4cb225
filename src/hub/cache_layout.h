#pragma once
// Where huggingface_hub keeps models on disk:
//   <cache>/models--org--name/refs/<revision>          a text file with the commit
//   <cache>/models--org--name/snapshots/<commit>/...   the repository's files: links into blobs, or plain files
//   <cache>/models--org--name/blobs/<etag>             contents; <etag>.incomplete while they arrive
//   <cache>/.locks/models--org--name/<etag>.lock
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vllm {

/// HF_HOME, else XDG_CACHE_HOME/huggingface, else ~/.cache/huggingface. kInvalidArgument if HOME is unset too.
Result<std::filesystem::path> hf_home();

/// `download_dir` if given, else HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, else <hf_home>/hub.
Result<std::filesystem::path> hub_cache_folder(const std::string& download_dir);

/// "~", "$NAME" and "${NAME}" replaced, as Python's expanduser and expandvars do; what is unset stays as it is.
std::string expand_path(std::string path);

class RepoCache {
 public:
  RepoCache(std::filesystem::path cache, std::string_view repo_id);

  std::filesystem::path folder() const { return folder_; }
  std::filesystem::path blob(std::string_view etag) const { return folder_ / "blobs" / etag; }
  std::filesystem::path snapshot(std::string_view commit) const { return folder_ / "snapshots" / commit; }
  std::filesystem::path lock(std::string_view etag) const { return locks_ / (std::string(etag) + ".lock"); }

  /// The commit that `revision` (a branch, a tag, or a commit itself) stood for when it was downloaded.
  std::optional<std::string> commit_of(std::string_view revision) const;
  /// Remember it. Nothing is written if it is known already.
  Status set_commit(std::string_view revision, std::string_view commit) const;

 private:
  std::filesystem::path folder_, locks_;
};

/// The ids of all models in the cache, sorted.
std::vector<std::string> cached_models(const std::filesystem::path& cache);

/// Make a folder and its parents. The error names the variables that choose another place.
Status make_cache_folder(const std::filesystem::path& folder);

}  // namespace vllm
