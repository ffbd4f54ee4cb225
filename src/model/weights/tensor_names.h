#pragma once
// Names of a decoder's tensors in HF and in GGUF checkpoints.
#include <optional>
#include <span>
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
  kPositions,   // learned embeddings of positions
  kProjectIn,   // from embedding_size to hidden_size
  kProjectOut,  // and back, in front of the lm_head
};

/// How a tensor lies in the checkpoint.
enum class Packing {
  kAlone,
  kQkv,            // rows of Q, then K, then V
  kQkvGroups,      // for each KV head the rows of its query heads, then its K, then its V
  kGateUp,         // rows of gate, then up
  kTensorPerHead,  // a norm's weights: name.0, name.1, ...
};

/// A family's own name for a tensor.
struct TensorName {
  TensorId id;
  std::string_view name;  // in the model, or in a layer
  Packing packing = Packing::kAlone;
  bool transposed = false;  // stored as [k, n]: GPT-2's Conv1D
};

/// What a family's HF names have different from Llama's. Of several names for one tensor that counts which the
/// checkpoint has.
struct HfNames {
  std::string_view layers = "layers.";
  std::span<const TensorName> names;
  std::string_view lm_head = "lm_head";
};

class TensorNames {
 public:
  /// Finds out which prefix an HF checkpoint uses ("model.", "language_model.model.", ...) and what a GGUF file has
  /// packed together; `checkpoint` may be null.
  TensorNames(const ModelConfig& config, const Checkpoint* checkpoint);
  /// suffix: "weight" or "bias"; `layer` is ignored for tensors of the whole model.
  std::string name(TensorId id, int layer, std::string_view suffix) const;
  Packing packing(TensorId id) const;
  bool transposed(TensorId id) const;

 private:
  const TensorName& row(TensorId id) const;
  std::string join(const TensorName& row, int layer, std::string_view suffix) const;

  bool gguf_, post_norms_, gated_mlp_;
  bool packed_qkv_ = false, packed_gate_up_ = false, two_norms_ = false;  // of GGUF
  const HfNames& hf_;
  const Checkpoint* checkpoint_;
  std::string prefix_;
};

}  // namespace vllm::model
