#pragma once
// A checkpoint's tensors by name, whatever the file format: safetensors (single or sharded) or GGUF.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "hub/gguf.h"
#include "tensor/dtype.h"

namespace vllm {

/// A tensor in mapped memory (alignment: none promised). Valid while its Checkpoint lives.
struct CheckpointTensor {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<int64_t> shape;  // row-major; empty for a scalar
  std::span<const std::byte> data;
};

class Checkpoint {
 public:
  virtual ~Checkpoint() = default;
  virtual const CheckpointTensor* find(std::string_view name) const = 0;
  virtual std::vector<std::string_view> names() const = 0;
  virtual size_t total_bytes() const = 0;
  /// Give back the memory of mapped bytes that will hardly be read again; they stay readable.
  virtual void release(std::span<const std::byte>) const {}
  /// The GGUF file behind it, or nullptr (metadata: config and tokenizer).
  virtual const GgufFile* gguf() const { return nullptr; }
};

/// Open a folder with *.safetensors (model.safetensors, or model.safetensors.index.json and its shards, or any single
/// *.safetensors) or a .gguf file. Errors say what to do: missing shards by name, git-lfs pointer files, an empty
/// folder.
Result<std::unique_ptr<Checkpoint>> open_checkpoint(const std::filesystem::path& path);

/// One safetensors file over bytes that outlive the result, in the order of the data.
/// kInvalidArgument names the tensor and what is wrong, kUnimplemented an element type that is not supported.
Result<std::vector<CheckpointTensor>> parse_safetensors(std::span<const std::byte> bytes);

}  // namespace vllm
