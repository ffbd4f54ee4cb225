#pragma once
// GGUF files (v2, v3), memory-mapped. Every length and offset of the file is checked before it is used.
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/mapped_file.h"
#include "base/result.h"
#include "tensor/dtype.h"

namespace vllm {

/// A metadata value. Integers are int64_t (u64 beyond that range: uint64_t), f32 and f64 are double, arrays of bool are
/// 0 and 1. Arrays of strings and numbers keep their own form because vocabularies hold 250k of them.
using GgufValue = std::variant<int64_t, uint64_t, double, bool, std::string_view, std::vector<std::string_view>,
                               std::vector<int64_t>, std::vector<double>>;

struct GgufTensor {
  std::string_view name;
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;  // row-major: [rows, columns], GGUF's own order reversed; columns are contiguous
  std::span<const std::byte> data;
};

class GgufFile {
 public:
  /// kNotFound if it can't be opened. kInvalidArgument says what is wrong with the file (magic, truncated header,
  /// overlapping or out-of-range tensors, unknown tensor type by its number and name).
  static Result<GgufFile> open(const std::filesystem::path& path);
  /// The same over bytes that outlive the object (tests, fuzzing).
  static Result<GgufFile> parse(std::span<const std::byte> bytes);

  const GgufValue* find(std::string_view key) const;
  /// Typed look-ups: nullopt if the key is absent or its value of another type (get_double also takes integers).
  std::optional<int64_t> get_int(std::string_view key) const;
  std::optional<double> get_double(std::string_view key) const;
  std::optional<bool> get_bool(std::string_view key) const;
  std::optional<std::string_view> get_string(std::string_view key) const;
  const std::map<std::string_view, GgufValue>& metadata() const { return metadata_; }
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor* find_tensor(std::string_view name) const;
  /// See MappedFile::release.
  void release(std::span<const std::byte> part) const { file_.release(part); }

 private:
  Status parse_bytes(std::span<const std::byte> bytes);

  MappedFile file_;
  std::map<std::string_view, GgufValue> metadata_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string_view, size_t> tensor_index_;
};

}  // namespace vllm
