#pragma once
// Owned, 64-byte aligned host memory, zeroed.
#include <cstddef>
#include <memory>

namespace vllm {

class Buffer {
 public:
  Buffer() = default;
  /// Large buffers are fresh pages of the system: those that nobody touches take no memory.
  explicit Buffer(size_t bytes);
  std::byte* data() const { return data_.get(); }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_.get());
  }
  size_t size() const { return size_; }

 private:
  struct Free {
    size_t mapped;  // bytes of the mapping; 0: from malloc
    void operator()(std::byte* p) const;
  };
  std::unique_ptr<std::byte[], Free> data_;
  size_t size_ = 0;
};

}  // namespace vllm
