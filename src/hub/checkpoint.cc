#include "hub/checkpoint.h"

#include <algorithm>
#include <map>

#include "base/mapped_file.h"
#include "hub/weight_files.h"

namespace vllm {
namespace {

/// Tensors by name over mapped files of either format.
class MappedCheckpoint : public Checkpoint {
 public:
  const CheckpointTensor* find(std::string_view name) const override {
    auto found = tensors_.find(name);
    return found == tensors_.end() ? nullptr : &found->second;
  }
  std::vector<std::string_view> names() const override {
    std::vector<std::string_view> names;
    for (const auto& [name, tensor] : tensors_) names.push_back(name);
    return names;
  }
  size_t total_bytes() const override {
    size_t bytes = 0;
    for (const auto& [name, tensor] : tensors_) bytes += tensor.data.size();
    return bytes;
  }
  void release(std::span<const std::byte> part) const override {
    for (const MappedFile& file : files_) file.release(part);
    for (const GgufFile& file : ggufs_) file.release(part);
  }
  const GgufFile* gguf() const override { return ggufs_.empty() ? nullptr : &ggufs_.front(); }

  Status add_safetensors(const std::filesystem::path& path, const std::map<std::string, std::string>& file_of) {
    ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
    ASSIGN_OR_RETURN(std::vector<CheckpointTensor> tensors, parse_safetensors(file.bytes()));
    const std::string name = path.filename().string();
    for (CheckpointTensor& tensor : tensors) {
      auto home = file_of.find(tensor.name);
      if (home != file_of.end() && home->second != name) continue;  // the index says that another file's copy counts
      RETURN_IF_ERROR(add(std::move(tensor)));
    }
    files_.push_back(std::move(file));
    return Status::ok();
  }

  Status add_gguf(const std::filesystem::path& path) {
    ASSIGN_OR_RETURN(GgufFile file, GgufFile::open(path));
    for (const GgufTensor& tensor : file.tensors()) {
      RETURN_IF_ERROR(add({std::string(tensor.name), tensor.dtype, tensor.shape, tensor.data}));
    }
    ggufs_.push_back(std::move(file));
    return Status::ok();
  }

  Status check_complete(const std::map<std::string, std::string>& file_of) const {
    for (const auto& [tensor, file] : file_of) {
      if (!find(tensor))
        return invalid_argument("{} lacks tensor \"{}\", which the index promises; download it again", file, tensor);
    }
    if (tensors_.empty()) return invalid_argument("it holds no tensors (a vocabulary-only file?)");
    return Status::ok();
  }

 private:
  Status add(CheckpointTensor tensor) {
    std::string name = tensor.name;
    if (!tensors_.emplace(name, std::move(tensor)).second)
      return invalid_argument("tensor \"{}\" is in an earlier file too", name);
    return Status::ok();
  }

  std::vector<MappedFile> files_;
  std::vector<GgufFile> ggufs_;
  std::map<std::string, CheckpointTensor, std::less<>> tensors_;
};

}  // namespace

Result<std::unique_ptr<Checkpoint>> open_checkpoint(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(WeightFiles weights, list_weight_files(path));
  auto checkpoint = std::make_unique<MappedCheckpoint>();
  for (const auto& file : weights.files) {
    RETURN_IF_ERROR(check_weight_file(file));
    if (weights.is_gguf) {
      RETURN_IF_ERROR(checkpoint->add_gguf(file));
    } else {
      RETURN_IF_ERROR(checkpoint->add_safetensors(file, weights.file_of).with_context("{}", file.string()));
    }
  }
  RETURN_IF_ERROR(checkpoint->check_complete(weights.file_of).with_context("{}", path.string()));
  return std::unique_ptr<Checkpoint>(std::move(checkpoint));
}

}  // namespace vllm
