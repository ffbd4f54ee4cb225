#include "hub/hub.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/env.h"
#include "base/log.h"
#include "base/mapped_file.h"
#include "hub/cache_choice.h"
#include "hub/cache_layout.h"
#include "hub/download.h"
#include "hub/file_selection.h"
#include "hub/repo_id.h"
#include "hub/suggest.h"
#include "hub/weight_files.h"

namespace vllm {
namespace fs = std::filesystem;
namespace {

Status check_config(const fs::path& folder) {
  std::error_code ignored;
  for (const char* name : {"config.json", "params.json"}) {
    if (!fs::exists(folder / name, ignored)) continue;
    ASSIGN_OR_RETURN(std::string text, read_file(folder / name));
    if (is_git_lfs_pointer(text))
      return invalid_argument("{} is a git-lfs pointer: run `git lfs pull` in that folder", (folder / name).string());
    return Status::ok();
  }
  return error(ErrorCode::kNotFound, "{} holds weights and no config.json; copy the model's whole folder",
               folder.string());
}

/// `path` if it is a usable model: a .gguf file (of a folder with nothing else, that file), or a folder with config and
/// weights.
Result<fs::path> check_local(const fs::path& path) {
  ASSIGN_OR_RETURN(WeightFiles weights, list_weight_files(path));
  for (const fs::path& file : weights.files) RETURN_IF_ERROR(check_weight_file(file));
  if (weights.is_gguf) return weights.files.front();
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) {
    return invalid_argument(
        "{} is one weight file; give the folder that it lies in, with config.json and the tokenizer", path.string());
  }
  RETURN_IF_ERROR(check_config(path));
  return path;
}

/// Relative paths of all files of a snapshot.
std::vector<std::string> files_below(const fs::path& folder) {
  constexpr size_t kMaxFiles = 50'000;
  std::vector<std::string> paths;
  std::error_code failed;
  for (fs::recursive_directory_iterator it(folder, failed), end; !failed && it != end && paths.size() < kMaxFiles;
       it.increment(failed)) {
    if (!it->is_directory(failed)) paths.push_back(it->path().lexically_relative(folder).string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// The model that `spec` means inside a snapshot.
Result<fs::path> model_in_snapshot(const fs::path& snapshot, const ModelSpec& spec) {
  if (!spec.file.empty()) return check_local(snapshot / spec.file);
  auto whole =
      spec.quant.empty() ? check_local(snapshot) : Result<fs::path>(invalid_argument("a quantization was named"));
  if (whole) return whole;
  std::vector<std::string> paths = files_below(snapshot);
  bool safetensors =
      std::any_of(paths.begin(), paths.end(), [](const std::string& path) { return path.ends_with(".safetensors"); });
  bool gguf = std::any_of(paths.begin(), paths.end(), [](const std::string& path) { return path.ends_with(".gguf"); });
  if (!gguf || (spec.quant.empty() && safetensors))
    return spec.quant.empty() ? whole : error(ErrorCode::kNotFound, "{} holds no GGUF file", snapshot.string());
  ASSIGN_OR_RETURN(std::string path, choose_gguf(paths, spec.quant));
  return check_local(snapshot / path);
}

Result<std::string> token_of(const HubOptions& options) {
  std::string token = options.token;
  if (token.empty() && !env_flag("HF_HUB_DISABLE_IMPLICIT_TOKEN")) {
    token = env("HF_TOKEN").value_or(env("HUGGING_FACE_HUB_TOKEN").value_or(""));
    if (token.empty()) {
      auto home = hf_home();
      fs::path file = env("HF_TOKEN_PATH").value_or(home ? (*home / "token").string() : "");
      if (auto text = read_file(file, 64 << 10)) token = *text;
    }
  }
  auto blank = [](unsigned char c) { return std::isspace(c) != 0; };
  while (!token.empty() && blank(token.back())) token.pop_back();
  while (!token.empty() && blank(token.front())) token.erase(0, 1);
  bool printable = std::all_of(token.begin(), token.end(), [](unsigned char c) { return c > 0x20 && c < 0x7f; });
  if (!printable)
    return invalid_argument(
        "the token in HF_TOKEN (or --hf-token, or the token file) holds characters that no token has");
  return token;
}

std::string did_you_mean(const std::string& repo_id, const fs::path& cache) {
  std::string near = nearest_model(repo_id, cached_models(cache));
  return near.empty() ? std::string() : fmt::format(". Did you mean {}?", near);
}

std::string advice(const Error& failure, const ModelSpec& spec, const fs::path& cache) {
  if (failure.code == ErrorCode::kNotFound) return did_you_mean(spec.repo_id, cache);
  if (failure.code == ErrorCode::kUnavailable) {
    return ". Check the network, HF_ENDPOINT and http_proxy/https_proxy/no_proxy; without a network, put the model "
           "into the cache (HF_HOME) "
           "beforehand and set HF_HUB_OFFLINE=1, or give the path of a folder";
  }
  return {};
}

/// A model of the hub: from the cache if the network must not or can't be used, else brought up to date.
class HubModel {
 public:
  HubModel(const HubOptions& options, ModelSpec spec, fs::path cache_folder, HubRepo repo)
      : options_(options),
        spec_(std::move(spec)),
        cache_folder_(std::move(cache_folder)),
        cache_(cache_folder_, spec_.repo_id),
        repo_(std::move(repo)) {
    settings_.http = http_settings_from_env();
    settings_.http.cancelled = options.cancelled;
    settings_.max_parallel_files = options.max_parallel_files;
    settings_.use_links = !env_flag("HF_HUB_DISABLE_SYMLINKS");
  }

  Result<fs::path> find() {
    auto cached = find_cached();
    if (options_.offline) return cached ? cached : Result<fs::path>(not_cached(cached.error()));
    if (cached && repo_.revision == cache_.commit_of(repo_.revision)) return cached;  // a commit never changes
    auto fresh = download(cached.has_value());
    if (fresh || !cached || fresh.error().code == ErrorCode::kCancelled) return fresh;
    LOG_WARNING("{}; using the copy of {} that is in the cache", fresh.error().message, spec_.repo_id);
    return cached;
  }

 private:
  Result<fs::path> find_cached() const {
    auto commit = cache_.commit_of(repo_.revision);
    std::error_code ignored;
    if (!commit || !fs::exists(cache_.snapshot(*commit), ignored)) {
      return error(ErrorCode::kNotFound, "{} (revision {}) is not in the cache {}", spec_.repo_id, repo_.revision,
                   cache_folder_.string());
    }
    return model_in_snapshot(cache_.snapshot(*commit), spec_);
  }

  Error not_cached(const Error& reason) const {
    return error(
        reason.code,
        "{}, and HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) forbids downloading: unset it, or mount the cache that holds "
        "the model{}",
        reason.message, did_you_mean(spec_.repo_id, cache_folder_));
  }

  Result<fs::path> download(bool have_copy) {
    DownloadSettings asking = settings_;
    if (have_copy) asking.max_attempts = 1;  // the network is wanted, not needed
    ASSIGN_OR_RETURN(RepoInfo info, ask_repo_info(repo_, asking));
    auto selected = select_files(info.files, spec_, options_.ignore_patterns).with_context("{}", spec_.repo_id);
    ASSIGN_OR_RETURN(FileSelection selection, std::move(selected));
    bool complete = std::all_of(selection.files.begin(), selection.files.end(),
                                [&](const RepoFile& file) { return is_downloaded(cache_, info.commit, file); });
    if (!complete) {
      LOG_INFO("Downloading {} (revision {}, {} files) to {}", spec_.repo_id, info.commit.substr(0, 8),
               selection.files.size(), cache_.folder().string());
      DownloadProgress progress(spec_.repo_id, options_.on_progress);
      Status done = download_files(cache_, repo_, info.commit, selection.files, settings_, progress);
      progress.finish();
      RETURN_IF_ERROR(std::move(done));
    }
    if (Status noted = cache_.set_commit(repo_.revision, info.commit); !noted) LOG_WARNING("{}", noted.error().message);
    fs::path snapshot = cache_.snapshot(info.commit);
    return check_local(selection.gguf.empty() ? snapshot : snapshot / selection.gguf);
  }

  const HubOptions& options_;
  ModelSpec spec_;
  fs::path cache_folder_;
  RepoCache cache_;
  HubRepo repo_;
  DownloadSettings settings_;
};

Result<fs::path> find_on_hub(const std::string& model, const HubOptions& options) {
  ASSIGN_OR_RETURN(ModelSpec spec, parse_model_spec(model));
  std::string revision = options.revision.empty() ? "main" : options.revision;
  if (!is_safe_repo_path(revision)) return invalid_argument("--revision \"{}\" is no branch, tag or commit", revision);
  ASSIGN_OR_RETURN(fs::path cache, choose_cache_folder(options.download_dir, spec.repo_id, fallback_caches()));
  ASSIGN_OR_RETURN(std::string token, token_of(options));
  std::string endpoint = hub_endpoint();
  if (!endpoint.starts_with("https://") && !endpoint.starts_with("http://")) {
    return invalid_argument("HF_ENDPOINT is \"{}\", which is no http:// or https:// address", endpoint);
  }
  HubModel hub_model(options, spec, cache, {endpoint, spec.repo_id, revision, token});
  auto found = hub_model.find();
  if (!found && !options.offline) found.error().message += advice(found.error(), spec, cache);
  return found;
}

}  // namespace

HubOptions hub_options_from_env() {
  HubOptions options;
  options.offline = env_flag("HF_HUB_OFFLINE") || env_flag("TRANSFORMERS_OFFLINE");
  return options;
}

Result<fs::path> find_model(const std::string& model, const HubOptions& options) {
  constexpr const char* kFailed = "Model download failed";  // the words that guides tell people to look for
  if (model.empty() || model.find('\0') != model.npos) return invalid_argument("{}: no model is named", kFailed);
  fs::path local = expand_path(model);
  std::error_code ignored;
  if (fs::exists(local, ignored)) return check_local(local).with_context("{}", kFailed);
  if (local.is_absolute() || model.starts_with("./") || model.starts_with("../") || model.starts_with("~")) {
    return error(ErrorCode::kNotFound,
                 "{}: there is no folder or file {}. In a container, check that it is mounted there (-v "
                 "host-folder:container-folder)",
                 kFailed, local.string());
  }
  return find_on_hub(model, options).with_context("{}", kFailed);
}

}  // namespace vllm
