#pragma once
// A decoder's tensors by what they are: found in the checkpoint by name, checked, and counted as they are loaded.
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "hub/checkpoint.h"
#include "model/model.h"
#include "model/weights/source_matrix.h"
#include "model/weights/tensor_names.h"

namespace vllm::model {

/// A linear layer's weight [n, k] as ModelConfig has it.
struct LinearShape {
  int64_t n = 0, k = 0;
  bool bias = false;
  bool interleaved = false;  // rows in the interleaved rotary order: see interleaved_row
};

class TensorSource {
 public:
  /// Without a checkpoint the weights are dummies. All three outlive this.
  TensorSource(const ModelConfig& config, const Checkpoint* checkpoint, const LoadOptions& options);

  bool dummy() const { return checkpoint_ == nullptr; }
  /// Of every matrix: kQ to kDown, the embeddings, the projections and the lm_head.
  LinearShape shape(TensorId id) const;
  /// Elements of a norm's weight.
  int64_t norm_size(TensorId id) const;
  /// A weight of `shape(id)`: plain floats or GGUF blocks. A missing or misshapen tensor is kInvalidArgument by name,
  /// with the shape expected and the one found. Not for dummies.
  Result<SourceMatrix> matrix(TensorId id, int layer) const;
  /// A float32 copy of a norm's weight, Gemma's 1 added. Dummies are ones.
  Status norm(TensorId id, int layer, std::span<float> out);
  /// A float32 copy of a norm's bias. Dummies are zeros.
  Status norm_bias(TensorId id, int layer, std::span<float> out);
  /// A float32 copy of a linear layer's bias, in the order of HF's rows. Dummies are zeros.
  Status bias(TensorId id, int layer, std::span<float> out);

  /// Report that so many more bytes of the checkpoint are loaded; norm() and bias() do so themselves.
  void advance(size_t bytes);
  /// Report that all of it is.
  void finish();

 private:
  Result<const CheckpointTensor*> find(const std::string& name, const std::vector<int64_t>& shape) const;
  /// Rows of the tensor that `id` lies in, and how many that tensor has.
  RowOrder row_order(TensorId id) const;
  int64_t stored_rows(TensorId id) const;
  Status vector(const std::string& name, const RowOrder& order, int64_t stored, std::span<float> out);

  const ModelConfig& config_;
  const Checkpoint* checkpoint_;
  const std::function<void(double)>& on_progress_;
  TensorNames names_;
  size_t total_ = 0, done_ = 0;
};

}  // namespace vllm::model
