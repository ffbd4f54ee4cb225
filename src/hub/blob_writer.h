#pragma once
// A file that arrives over the network: kept as <name>.incomplete, so that it can be resumed, until its size and digest
// are right.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "hub/hub_api.h"
#include "hub/sha.h"

namespace vllm {

class BlobWriter {
 public:
  /// Open `path`.incomplete, keeping what an earlier attempt wrote. kResourceExhausted if the rest can't fit on the
  /// disk.
  static Result<BlobWriter> open(const std::filesystem::path& path, const FileInfo& info);
  BlobWriter(BlobWriter&& other) noexcept;
  BlobWriter& operator=(BlobWriter&&) = delete;
  ~BlobWriter();

  uint64_t size() const { return size_; }
  bool complete() const { return info_.size && size_ == *info_.size; }
  /// kInvalidArgument: more bytes than announced; kResourceExhausted: the disk is full.
  Status append(std::string_view bytes);
  /// Throw away what is there.
  Status restart();
  /// Check size and digest and give the file its final name. kInvalidArgument if they are wrong.
  Status finish();

 private:
  BlobWriter(int fd, std::filesystem::path path, FileInfo info);
  Status digest_existing();
  Error write_error(int code) const;

  int fd_;
  std::filesystem::path path_;
  FileInfo info_;
  std::optional<Digest> digest_;
  uint64_t size_ = 0;
};

std::filesystem::path incomplete_path(const std::filesystem::path& path);

}  // namespace vllm
