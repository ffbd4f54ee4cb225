#pragma once
// The two questions that a model hub answers: which files a repository has, and what one of them is.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "hub/http_client.h"

namespace vllm {

struct RepoFile {
  std::string path;              // checked: is_safe_repo_path
  std::optional<uint64_t> size;  // bytes, if the hub said so
};

struct RepoInfo {
  std::string commit;
  std::vector<RepoFile> files;  // sorted by path, no path twice
};

struct FileInfo {
  std::string etag;  // checked: fit for a file name
  std::optional<uint64_t> size;
};

/// One repository at one revision of one hub.
struct HubRepo {
  std::string endpoint;  // "https://huggingface.co"; no slash at the end
  std::string repo_id;
  std::string revision;
  std::string token;  // empty: none

  std::string page() const { return endpoint + "/" + repo_id; }
  std::string file_url(std::string_view commit, std::string_view path) const;
};

/// HF_ENDPOINT, or the public hub.
std::string hub_endpoint();

Result<RepoInfo> fetch_repo_info(HttpClient& client, const HubRepo& repo);
Result<FileInfo> fetch_file_info(HttpClient& client, const HubRepo& repo, std::string_view commit,
                                 std::string_view path);

/// What an answer other than 2xx means, in words a user can act on: kPermissionDenied, kNotFound, kUnavailable (worth
/// trying again) or kInvalidArgument.
Error explain_status(const HttpResponse& response, const HubRepo& repo);

}  // namespace vllm
