#pragma once
// Device memory at fixed addresses of which only the front exists: it grows when it is wanted.
#include <cstddef>
#include <memory>

#include "base/result.h"

namespace vllm {

/// Reserves addresses for max_bytes and holds no memory until grow() is called. Growing neither moves what is there nor
/// waits for the device, so addresses may be in captured graphs.
class GrowingBuffer {
 public:
  static Result<GrowingBuffer> reserve(size_t max_bytes);
  GrowingBuffer();
  GrowingBuffer(GrowingBuffer&&) noexcept;
  GrowingBuffer& operator=(GrowingBuffer&&) noexcept;
  ~GrowingBuffer();
  /// At least the first `bytes` exist afterwards (not initialized); a piece is 2 MiB or more. kResourceExhausted where
  /// the device has no more, kInvalidArgument beyond max_bytes.
  Status grow(size_t bytes);
  std::byte* data() const;
  size_t size() const;  // that exist
  size_t max_size() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace vllm
