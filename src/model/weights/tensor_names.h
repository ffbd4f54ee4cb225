#pragma once
// Names of a decoder's tensors in HF and in GGUF checkpoints.
#include <optional>
#include <string>

#include "hub/checkpoint.h"
#include "model/config.h"

namespace vllm::model {

enum class TensorId {
  kEmbedding,
  kFinalNorm,
  kLmHead,
  kAttentionNorm,
  kAttentionPostNorm,
  kMlpNorm,
  kMlpPostNorm,
  kQNorm,
  kKNorm,
  kQ,
  kK,
  kV,
  kO,
  kGate,
  kUp,
  kDown,
};

class TensorNames {
 public:
  /// Finds out which prefix an HF checkpoint uses ("model.", "language_model.model.", ...); `checkpoint` may be null.
  TensorNames(const ModelConfig& config, const Checkpoint* checkpoint);
  /// suffix: "weight" or "bias"; `layer` is ignored for tensors of the whole model.
  std::string name(TensorId id, int layer, std::string_view suffix) const;

 private:
  bool gguf_, post_norms_;
  std::string prefix_;
};

}  // namespace vllm::model
