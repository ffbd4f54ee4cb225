#pragma once
// Owned memory of the device, and host memory that the device can reach.
#include <cstddef>
#include <utility>

#include "base/result.h"

namespace vllm {

/// cudaMalloc'ed bytes, 256-byte aligned, not initialized.
class DeviceBuffer {
 public:
  /// kResourceExhausted: "Out of memory: ...", with the size that was wanted and what is free. `what` names it.
  static Result<DeviceBuffer> allocate(size_t bytes, const char* what);
  DeviceBuffer() = default;
  DeviceBuffer(DeviceBuffer&& o) noexcept : data_(std::exchange(o.data_, nullptr)), size_(std::exchange(o.size_, 0)) {}
  DeviceBuffer& operator=(DeviceBuffer&& o) noexcept {
    std::swap(data_, o.data_), std::swap(size_, o.size_);
    return *this;
  }
  ~DeviceBuffer();
  std::byte* data() const { return data_; }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }
  size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// Page-locked host memory, mapped: data() is valid on the host and, at the same address, in kernels. Zeroed.
class PinnedBuffer {
 public:
  static Result<PinnedBuffer> allocate(size_t bytes, const char* what);
  PinnedBuffer() = default;
  PinnedBuffer(PinnedBuffer&& o) noexcept : data_(std::exchange(o.data_, nullptr)), size_(std::exchange(o.size_, 0)) {}
  PinnedBuffer& operator=(PinnedBuffer&& o) noexcept {
    std::swap(data_, o.data_), std::swap(size_, o.size_);
    return *this;
  }
  ~PinnedBuffer();
  std::byte* data() const { return data_; }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }
  size_t size() const { return size_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace vllm
