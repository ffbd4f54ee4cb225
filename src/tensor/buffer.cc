#include "tensor/buffer.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "base/check.h"

namespace vllm {
namespace {
constexpr size_t kMapFrom = size_t{1} << 20;
}

Buffer::Buffer(size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  const size_t padded = (bytes + 63) / 64 * 64;
  if (padded >= kMapFrom) {
    void* pages = ::mmap(nullptr, padded, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(pages != MAP_FAILED);
    data_ = {static_cast<std::byte*>(pages), Free{padded}};
    return;
  }
  data_.reset(static_cast<std::byte*>(std::aligned_alloc(64, padded)));
  CHECK(data_ != nullptr);
  std::memset(data_.get(), 0, padded);
}

void Buffer::Free::operator()(std::byte* p) const {
  if (mapped > 0) {
    ::munmap(p, mapped);
  } else {
    std::free(p);
  }
}

}  // namespace vllm
