#include "hub/blob_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "base/log.h"
#include "hub/cache_layout.h"
#include "hub/progress.h"

namespace vllm {
namespace fs = std::filesystem;

fs::path incomplete_path(const fs::path& path) {
  fs::path incomplete = path;
  incomplete += ".incomplete";
  return incomplete;
}

BlobWriter::BlobWriter(int fd, fs::path path, FileInfo info)
    : fd_(fd), path_(std::move(path)), info_(std::move(info)), digest_(digest_of_etag(info_.etag, info_.size)) {}

BlobWriter::BlobWriter(BlobWriter&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      info_(std::move(other.info_)),
      digest_(std::move(other.digest_)),
      size_(other.size_) {}

BlobWriter::~BlobWriter() {
  if (fd_ >= 0) ::close(fd_);
}

Result<BlobWriter> BlobWriter::open(const fs::path& path, const FileInfo& info) {
  RETURN_IF_ERROR(make_cache_folder(path.parent_path()));
  int fd = ::open(incomplete_path(path).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0664);
  if (fd < 0) {
    return error(errno == ENOSPC ? ErrorCode::kResourceExhausted : ErrorCode::kPermissionDenied,
                 "cannot write {}: {}. Set HF_HOME to a folder that can be written to, or pass --download-dir",
                 incomplete_path(path).string(), std::strerror(errno));
  }
  BlobWriter writer(fd, path, info);
  struct stat st{};
  if (::fstat(fd, &st) != 0) return writer.write_error(errno);
  writer.size_ = static_cast<uint64_t>(st.st_size);
  if (info.size && writer.size_ > *info.size) RETURN_IF_ERROR(writer.restart());
  RETURN_IF_ERROR(writer.digest_existing());

  std::error_code unknown;
  fs::space_info space = fs::space(path.parent_path(), unknown);
  if (!unknown && info.size && *info.size - writer.size_ > space.available) {
    return error(
        ErrorCode::kResourceExhausted,
        "{} needs {} more and the disk has {} free. Make room, or choose another disk with HF_HOME or --download-dir",
        path.string(), human_bytes(*info.size - writer.size_), human_bytes(space.available));
  }
  return writer;
}

Status BlobWriter::digest_existing() {
  if (!digest_) return Status::ok();
  std::vector<char> buffer(1 << 20);
  for (uint64_t at = 0; at < size_;) {
    ssize_t n = ::pread(fd_, buffer.data(), buffer.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return restart();  // unreadable, or it shrank: not worth keeping
    digest_->update({buffer.data(), static_cast<size_t>(n)});
    at += static_cast<uint64_t>(n);
  }
  return Status::ok();
}

Status BlobWriter::append(std::string_view bytes) {
  if (info_.size && bytes.size() > *info_.size - size_) {
    return invalid_argument("{} sends more than the {} bytes that it announced", info_.etag, *info_.size);
  }
  if (digest_) digest_->update(bytes);
  while (!bytes.empty()) {
    ssize_t n = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(size_));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return write_error(errno);
    bytes.remove_prefix(static_cast<size_t>(n));
    size_ += static_cast<uint64_t>(n);
  }
  return Status::ok();
}

Status BlobWriter::restart() {
  if (size_ > 0 && ::ftruncate(fd_, 0) != 0) return write_error(errno);
  size_ = 0;
  digest_ = digest_of_etag(info_.etag, info_.size);
  return Status::ok();
}

Status BlobWriter::finish() {
  if (info_.size && size_ != *info_.size)
    return invalid_argument("{} has {} bytes in place of {}", info_.etag, size_, *info_.size);
  if (digest_) {
    std::string digest = digest_->hex();
    digest_.reset();
    if (digest != info_.etag)
      return invalid_argument("what arrived has the hash {} in place of {}", digest, info_.etag);
  }
  std::error_code failed;
  fs::rename(incomplete_path(path_), path_, failed);
  if (failed)
    return error(ErrorCode::kInternal, "cannot rename {}: {}", incomplete_path(path_).string(), failed.message());
  return Status::ok();
}

Error BlobWriter::write_error(int code) const {
  bool full = code == ENOSPC || code == EDQUOT;
  return error(full ? ErrorCode::kResourceExhausted : ErrorCode::kInternal, "cannot write {}: {}{}",
               incomplete_path(path_).string(), std::strerror(code),
               full ? ". Make room, or choose another disk with HF_HOME or --download-dir" : "");
}

}  // namespace vllm
