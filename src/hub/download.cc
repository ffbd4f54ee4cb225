#include "hub/download.h"

#include <algorithm>
#include <charconv>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "hub/blob_writer.h"
#include "hub/file_lock.h"
#include "hub/snapshot_entry.h"

namespace vllm {
namespace fs = std::filesystem;
namespace {

/// Attempts with growing pauses. Progress made between two failures starts the count again.
class Retry {
 public:
  explicit Retry(const DownloadSettings& settings) : settings_(settings), delay_(settings.first_delay) {}

  /// Wait and return true if `failure` deserves another attempt.
  bool again(const Error& failure) {
    if (failure.code != ErrorCode::kUnavailable || ++attempts_ >= settings_.max_attempts) return false;
    LOG_WARNING("{}; trying again in {:.1f} s", failure.message, static_cast<double>(delay_.count()) / 1000);
    for (auto left = delay_; left.count() > 0; left -= std::chrono::milliseconds(50)) {
      if (settings_.http.is_cancelled()) return false;
      std::this_thread::sleep_for(std::min(left, std::chrono::milliseconds(50)));
    }
    delay_ = std::min<std::chrono::milliseconds>(delay_ * 2, std::chrono::seconds(30));
    return true;
  }
  void progressed() {
    attempts_ = 0;
    delay_ = settings_.first_delay;
  }

 private:
  const DownloadSettings& settings_;
  int attempts_ = 0;
  std::chrono::milliseconds delay_;
};

/// "bytes 100-199/200": where the part begins; nullopt if it is no such text.
std::optional<uint64_t> range_start(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  uint64_t start = 0;
  if (!text.starts_with(kUnit)) return std::nullopt;
  auto [end, failed] = std::from_chars(text.data() + kUnit.size(), text.data() + text.size(), start);
  return failed == std::errc() && end != text.data() + text.size() && *end == '-' ? std::optional(start) : std::nullopt;
}

/// Refuse early what can't fit, instead of after an hour. Bytes that earlier attempts left are there already.
Status check_space(const RepoCache& cache, const std::vector<RepoFile>& missing) {
  std::error_code failed;
  uint64_t there = 0, needed = 0;
  for (fs::directory_iterator it(cache.blob("."), failed), end; !failed && it != end; it.increment(failed)) {
    std::error_code ignored;
    if (it->path().extension() == ".incomplete" && it->is_regular_file(ignored)) there += it->file_size(ignored);
  }
  for (const RepoFile& file : missing) {
    if (__builtin_add_overflow(needed, file.size.value_or(0), &needed)) needed = UINT64_MAX;
  }
  RETURN_IF_ERROR(make_cache_folder(cache.folder()));
  fs::space_info space = fs::space(cache.folder(), failed);
  if (failed || needed <= there || needed - there <= space.available) return Status::ok();
  return error(
      ErrorCode::kResourceExhausted,
      "the model needs {} and the disk under {} has {} free. Make room, or choose another disk with HF_HOME or "
      "--download-dir",
      human_bytes(needed - there), cache.folder().string(), human_bytes(space.available));
}

/// Downloads one file after another over one connection.
class FileFetcher {
 public:
  FileFetcher(const RepoCache& cache, const HubRepo& repo, const std::string& commit, const DownloadSettings& settings,
              DownloadProgress& progress)
      : cache_(cache), repo_(repo), commit_(commit), settings_(settings), progress_(progress), client_(settings.http) {}

  Status fetch(const RepoFile& file) {
    ASSIGN_OR_RETURN(FileInfo info, ask_file_info(file.path));
    if (!file.size && info.size) progress_.add_total(*info.size);
    ASSIGN_OR_RETURN(FileLock lock,
                     FileLock::take(cache_.lock(info.etag), [&] { return settings_.http.is_cancelled(); }));
    if (is_downloaded(cache_, commit_, {file.path, info.size})) {  // by another process, meanwhile
      progress_.add_present(info.size.value_or(0));
      return Status::ok();
    }
    fs::path blob = cache_.blob(info.etag);
    bool fresh = !is_whole_file(blob, info.size);
    if (fresh) {
      RETURN_IF_ERROR(fetch_blob(file.path, info, blob));
    } else {
      progress_.add_present(info.size.value_or(0));
    }
    return add_to_snapshot({.blob = blob,
                            .entry = cache_.snapshot(commit_) / file.path,
                            .use_link = settings_.use_links,
                            .may_move = fresh});
  }

 private:
  Result<FileInfo> ask_file_info(const std::string& path) {
    for (Retry retry(settings_);;) {
      auto info = fetch_file_info(client_, repo_, commit_, path);
      if (info || !retry.again(info.error())) return info;
    }
  }

  Status fetch_blob(const std::string& path, const FileInfo& info, const fs::path& blob) {
    ASSIGN_OR_RETURN(BlobWriter writer, BlobWriter::open(blob, info));
    progress_.add_present(writer.size());
    Retry retry(settings_);
    for (bool damaged_before = false;;) {
      uint64_t before = writer.size();
      Status done = writer.complete() ? Status::ok() : transfer(path, writer);
      if (done) done = writer.finish();
      if (done) return done;
      if (done.error().code == ErrorCode::kInvalidArgument &&
          !damaged_before) {  // damaged on the way: once more from the start
        damaged_before = true;
        LOG_WARNING("{}: {}; downloading it again", path, done.error().message);
        RETURN_IF_ERROR(restart(writer));
        continue;
      }
      if (writer.size() > before) retry.progressed();
      if (!retry.again(done.error())) return std::move(done).with_context("{}", path);
    }
  }

  /// One request for what is still missing.
  Status transfer(const std::string& path, BlobWriter& writer) {
    bool first = true;
    auto sink = [&](const HttpResponse& head, std::string_view bytes) -> Status {
      if (std::exchange(first, false)) {
        if (head.status != 206) {
          RETURN_IF_ERROR(restart(writer));  // the whole file comes, whatever was asked for
        } else if (range_start(head.header("content-range")) != writer.size()) {
          return invalid_argument("the hub sent another part of the file than was asked for");
        }
      }
      progress_.add_done(static_cast<int64_t>(bytes.size()));
      return writer.append(bytes);
    };
    HttpRequest request{.url = repo_.file_url(commit_, path), .token = repo_.token, .first_byte = writer.size()};
    ASSIGN_OR_RETURN(HttpResponse response, client_.fetch(request, sink));
    if (response.status == 416) {
      RETURN_IF_ERROR(restart(writer));
      return error(ErrorCode::kUnavailable, "the hub has no such part of {}", path);
    }
    if (response.status < 200 || response.status >= 300) return explain_status(response, repo_);
    if (first && response.status != 206) RETURN_IF_ERROR(restart(writer));  // an empty file
    return Status::ok();
  }

  Status restart(BlobWriter& writer) {
    progress_.add_done(-static_cast<int64_t>(writer.size()));
    return writer.restart();
  }

  const RepoCache& cache_;
  const HubRepo& repo_;
  const std::string& commit_;
  const DownloadSettings& settings_;
  DownloadProgress& progress_;
  HttpClient client_;
};

}  // namespace

Result<RepoInfo> ask_repo_info(const HubRepo& repo, const DownloadSettings& settings) {
  HttpClient client(settings.http);
  for (Retry retry(settings);;) {
    auto info = fetch_repo_info(client, repo);
    if (info || !retry.again(info.error())) return info;
  }
}

bool is_downloaded(const RepoCache& cache, const std::string& commit, const RepoFile& file) {
  return is_whole_file(cache.snapshot(commit) / file.path, file.size);
}

Status download_files(const RepoCache& cache, const HubRepo& repo, const std::string& commit,
                      const std::vector<RepoFile>& files, const DownloadSettings& settings,
                      DownloadProgress& progress) {
  std::vector<RepoFile> missing;
  std::copy_if(files.begin(), files.end(), std::back_inserter(missing),
               [&](const RepoFile& file) { return !is_downloaded(cache, commit, file); });
  std::sort(missing.begin(), missing.end(), [](const RepoFile& a, const RepoFile& b) {  // small ones first
    return a.size != b.size ? a.size < b.size : a.path < b.path;
  });
  if (missing.empty()) return Status::ok();
  RETURN_IF_ERROR(check_space(cache, missing));
  for (const RepoFile& file : missing) progress.add_total(file.size.value_or(0));

  std::atomic<size_t> next{0};
  std::atomic<bool> stopped{false};
  std::mutex mutex;  // guards first_failure
  Status first_failure;
  DownloadSettings shared = settings;
  shared.http.stopped = &stopped;
  auto work = [&] {
    FileFetcher fetcher(cache, repo, commit, shared, progress);
    for (size_t i = next++; i < missing.size() && !stopped; i = next++) {
      Status done = fetcher.fetch(missing[i]);
      if (done) continue;
      std::lock_guard lock(mutex);
      if (!stopped.exchange(true)) first_failure = std::move(done);
    }
  };
  {
    std::vector<std::jthread> threads;
    size_t count = std::min(missing.size(), static_cast<size_t>(std::clamp(settings.max_parallel_files, 1, 64)));
    for (size_t i = 0; i < count; ++i) threads.emplace_back(work);
  }
  return first_failure;
}

}  // namespace vllm
