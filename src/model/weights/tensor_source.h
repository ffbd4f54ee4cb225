#pragma once
// A decoder's tensors by what they are: found in the checkpoint by name, checked, and counted as they are loaded.
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "hub/checkpoint.h"
#include "model/model.h"
#include "model/weights/tensor_names.h"

namespace vllm::model {

/// A linear layer's weight [n, k] as ModelConfig has it.
struct LinearShape {
  int64_t n = 0, k = 0;
  bool bias = false;
  bool interleaved = false;  // rows in the rotary order of GGUF's llama files: see interleaved_row
};

class TensorSource {
 public:
  /// Without a checkpoint the weights are dummies. All three outlive this.
  TensorSource(const ModelConfig& config, const Checkpoint* checkpoint, const LoadOptions& options);

  bool dummy() const { return checkpoint_ == nullptr; }
  /// Of kQ to kDown, the embedding and the lm_head.
  LinearShape shape(TensorId id) const;
  /// A weight of `shape(id)`: plain floats or GGUF blocks. A missing or misshapen tensor is kInvalidArgument by name,
  /// with the shape expected and the one found. Not for dummies.
  Result<const CheckpointTensor*> matrix(TensorId id, int layer) const;
  /// A float32 copy of a norm's weight, Gemma's 1 added. Dummies are ones.
  Status norm(TensorId id, int layer, std::span<float> out);
  /// A float32 copy of a linear layer's bias, in the order of HF's rows. Dummies are zeros.
  Status bias(TensorId id, int layer, std::span<float> out);

  /// Report that so many more bytes of the checkpoint are loaded; norm() and bias() do so themselves.
  void advance(size_t bytes);
  /// Report that all of it is.
  void finish();

 private:
  Result<const CheckpointTensor*> find(const std::string& name, const std::vector<int64_t>& shape) const;
  Status vector(const std::string& name, bool interleaved, std::span<float> out);

  const ModelConfig& config_;
  const Checkpoint* checkpoint_;
  const std::function<void(double)>& on_progress_;
  TensorNames names_;
  size_t total_ = 0, done_ = 0;
};

}  // namespace vllm::model
