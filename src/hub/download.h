#pragma once
// Files of a hub into a RepoCache: several at once, resumed, checked, shared with other processes.
#include <atomic>
#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"
#include "hub/cache_layout.h"
#include "hub/http_client.h"
#include "hub/hub_api.h"
#include "hub/progress.h"

namespace vllm {

struct DownloadSettings {
  HttpSettings http = {};
  int max_parallel_files = 4;
  int max_attempts = 5;                         // in a row without a single new byte
  std::chrono::milliseconds first_delay{1000};  // before the second attempt; doubles up to 30 s
  bool use_links = true;                        // false: plain files in the snapshot (HF_HUB_DISABLE_SYMLINKS)
};

/// What the hub says about the repository, asked again while only the network is at fault.
Result<RepoInfo> ask_repo_info(const HubRepo& repo, const DownloadSettings& settings);

/// Bring `files` into cache.snapshot(commit). The first error that is not worth another attempt ends all of them.
/// kCancelled when settings.http.cancelled turns true; what has arrived stays for the next time.
Status download_files(const RepoCache& cache, const HubRepo& repo, const std::string& commit,
                      const std::vector<RepoFile>& files, const DownloadSettings& settings, DownloadProgress& progress);

/// True if the snapshot has this file, whole.
bool is_downloaded(const RepoCache& cache, const std::string& commit, const RepoFile& file);

}  // namespace vllm
