#pragma once
// Checked look-ups of "<architecture>.<key>" in a GGUF file's metadata, for the readers of families.
#include <string_view>

#include "base/result.h"
#include "hub/gguf.h"

namespace vllm::model {

class GgufFields {
 public:
  GgufFields(const GgufFile& file, std::string_view arch) : file_(file), prefix_(std::string(arch) + ".") {}

  const GgufFile& file() const { return file_; }
  bool has_tensor(std::string_view name) const { return file_.find_tensor(name) != nullptr; }
  std::string name(std::string_view key) const { return prefix_ + std::string(key); }
  Result<int64_t> int_or(std::string_view key, int64_t fallback, int64_t min, int64_t max) const;
  /// Finite, min <= value <= max.
  Result<double> double_or(std::string_view key, double fallback, double min, double max) const;

 private:
  const GgufFile& file_;
  std::string prefix_;
};

/// layer_is_sliding where every `pattern`-th layer is a full one, if the file has a window at all; the window's default
/// is 0 = none.
Status read_gguf_windows(const GgufFields& fields, struct ModelConfig& config, int64_t default_window, int64_t pattern);

}  // namespace vllm::model
