#include "hub/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "base/log.h"
#include "hub/cache_layout.h"

namespace vllm {

Result<FileLock> FileLock::take(const std::filesystem::path& path, const std::function<bool()>& cancelled) {
  RETURN_IF_ERROR(make_cache_folder(path.parent_path()));
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0664);
  if (fd < 0) return error(ErrorCode::kPermissionDenied, "cannot open {}: {}", path.string(), std::strerror(errno));
  FileLock lock(fd);
  int tries = 0;
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) {
      LOG_WARNING("cannot lock {}: {}; going on without", path.string(), std::strerror(errno));
      break;
    }
    if (cancelled()) return error(ErrorCode::kCancelled, "cancelled");
    if (++tries == 10) {  // a second: no word about a few small files
      LOG_INFO("Waiting for another process that downloads the same file ({})", path.string());
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return lock;
}

FileLock::FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

FileLock::~FileLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace vllm
