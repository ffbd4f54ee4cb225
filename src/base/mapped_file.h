#pragma once
// A read-only memory-mapped file.
#include <cstddef>
#include <filesystem>
#include <span>

#include "base/result.h"

namespace vllm {

class MappedFile {
 public:
  /// Map the whole file. kNotFound if it can't be opened, kInvalidArgument if it is no regular file. An empty file maps
  /// to no bytes.
  static Result<MappedFile> open(const std::filesystem::path& path);
  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  /// Give the memory of `part` back: who reads it again reads the file again. Parts outside this file are left alone.
  void release(std::span<const std::byte> part) const;

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// Read a whole (small) file as text. Files over `max_bytes` are refused.
Result<std::string> read_file(const std::filesystem::path& path, size_t max_bytes = size_t{256} << 20);

}  // namespace vllm
