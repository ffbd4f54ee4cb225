#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace vllm {
namespace {
struct Fd {
  int fd;
  ~Fd() {
    if (fd >= 0) ::close(fd);
  }
};

Result<size_t> regular_size(const Fd& file, const std::filesystem::path& path) {
  if (file.fd < 0) return error(ErrorCode::kNotFound, "cannot open {}: {}", path.string(), std::strerror(errno));
  struct stat st{};
  if (::fstat(file.fd, &st) != 0)
    return error(ErrorCode::kNotFound, "cannot stat {}: {}", path.string(), std::strerror(errno));
  if (!S_ISREG(st.st_mode)) return invalid_argument("{} is not a regular file", path.string());
  return static_cast<size_t>(st.st_size);
}
}  // namespace

Result<MappedFile> MappedFile::open(const std::filesystem::path& path) {
  Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  ASSIGN_OR_RETURN(size_t size, regular_size(file, path));
  MappedFile mapped;
  if (size == 0) return mapped;
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file.fd, 0);
  if (data == MAP_FAILED) return error(ErrorCode::kInternal, "cannot map {}: {}", path.string(), std::strerror(errno));
  mapped.data_ = static_cast<const std::byte*>(data);
  mapped.size_ = size;
  return mapped;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(std::span<const std::byte> part) const {
  if (part.empty() || part.data() < data_ || part.data() + part.size() > data_ + size_) return;
  // Whole pages, neighbours at the edges included: they come back from the page cache when they are read.
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t begin = static_cast<size_t>(part.data() - data_) / page * page,
               end = static_cast<size_t>(part.data() + part.size() - data_);
  ::madvise(const_cast<std::byte*>(data_) + begin, end - begin, MADV_DONTNEED);
}

Result<std::string> read_file(const std::filesystem::path& path, size_t max_bytes) {
  Fd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  ASSIGN_OR_RETURN(size_t size, regular_size(file, path));
  if (size > max_bytes)
    return invalid_argument("{} has {} bytes, more than the {} expected at most", path.string(), size, max_bytes);
  std::string text(size, '\0');
  size_t done = 0;
  while (done < size) {
    ssize_t n = ::read(file.fd, text.data() + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return error(ErrorCode::kInternal, "cannot read {}: {}", path.string(), std::strerror(errno));
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  text.resize(done);
  return text;
}

}  // namespace vllm
