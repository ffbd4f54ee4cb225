#pragma once
// Owned, 64-byte aligned host memory, zeroed.
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/check.h"

namespace vllm {

class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t bytes) : size_(bytes) {
    if (bytes == 0) return;
    size_t padded = (bytes + 63) / 64 * 64;
    data_.reset(static_cast<std::byte*>(std::aligned_alloc(64, padded)));
    CHECK(data_ != nullptr);
    std::memset(data_.get(), 0, padded);
  }
  std::byte* data() const { return data_.get(); }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_.get());
  }
  size_t size() const { return size_; }

 private:
  struct Free {
    void operator()(std::byte* p) const { std::free(p); }
  };
  std::unique_ptr<std::byte[], Free> data_;
  size_t size_ = 0;
};

}  // namespace vllm
