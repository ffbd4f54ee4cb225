#pragma once
// One process at a time, by an advisory lock on a file, as huggingface_hub takes it too.
#include <filesystem>
#include <functional>

#include "base/result.h"

namespace vllm {

class FileLock {
 public:
  /// Wait until the lock is ours, or `cancelled` says true: kCancelled. A file system without locks gives
  /// a lock that excludes nobody: the digest that is checked after a download is what correctness rests on.
  static Result<FileLock> take(const std::filesystem::path& path, const std::function<bool()>& cancelled);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  int fd_;
};

}  // namespace vllm
