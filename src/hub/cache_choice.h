#pragma once
// Which cache folder: the one that was named, or what a process can use that was given no home of its own (a container
// run under any user id, a read-only root).
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vllm {

/// Where `repo_id` is looked for and kept. A folder that was named (--download-dir, HF_HUB_CACHE, HF_HOME,
/// XDG_CACHE_HOME) is taken as it is. The default below HOME is taken if it can be written to or holds the model; else
/// the first of `fallbacks` that holds the model, else the first that can be written to: then one log line, once a
/// process, says where. If nothing can be written to, the default, or hf_home()'s error.
Result<std::filesystem::path> choose_cache_folder(const std::string& download_dir, std::string_view repo_id,
                                                  const std::vector<std::filesystem::path>& fallbacks);

/// /root's cache (where guides mount it, whoever the process is), /var/cache/vllm, a folder of this user's in TMPDIR.
std::vector<std::filesystem::path> fallback_caches();

}  // namespace vllm
