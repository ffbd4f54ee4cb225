#pragma once
// The weights of one decoder, as views over mapped files or over memory owned here.
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "hub/checkpoint.h"
#include "kernels/linear/linear.h"
#include "model/model.h"
#include "tensor/arena.h"
#include "tensor/buffer.h"
#include "tensor/thread_pool.h"

namespace vllm::model {

/// A weight matrix and its bias (or none).
struct Linear {
  LinearWeight weight;
  std::span<const float> bias;
};

/// A norm's weight, and its bias or none; both empty where a model has no such norm.
struct Norm {
  std::span<const float> weight, bias;
};

struct LayerWeights {
  Norm attention_norm, attention_post_norm;  // [hidden]; see ModelConfig for who has which
  Norm mlp_norm, mlp_post_norm;              // [hidden]
  Norm q_norm, k_norm;                       // [head_dim] or [heads * head_dim] or empty
  Linear q, k, v, o;                         // [heads * head_dim, hidden] ..., [hidden, heads * head_dim]
  Linear gate, up, down;                     // [intermediate, hidden], [hidden, intermediate]; gate may be empty
};

struct DecoderWeights {
  const void* embedding = nullptr;  // [vocab, embedding_size]
  DType embedding_dtype = DType::kFloat32;
  const void* positions = nullptr;  // [position_offset + max_position, hidden] or none
  DType positions_dtype = DType::kFloat32;
  Linear project_in, project_out;  // [hidden, embedding_size] and back, or empty
  std::vector<LayerWeights> layers;
  Norm final_norm;                               // [hidden] or empty
  Linear lm_head;                                // [vocab, embedding_size]
  size_t bytes = 0;                              // of all weights, mapped ones too
  std::shared_ptr<const Checkpoint> checkpoint;  // keeps mapped weights alive; null for dummy weights
  std::vector<Buffer> owned;
  Arena packed;  // what the linear op reads
};

/// Find every tensor by its HF or GGUF name, check its shape, and convert or pack it where needed. A missing or
/// misshapen tensor is kInvalidArgument by name, with the shape expected and the one found.
Result<DecoderWeights> load_weights(const ModelConfig& config, std::shared_ptr<const Checkpoint> checkpoint,
                                    const LoadOptions& options, ThreadPool& pool);

}  // namespace vllm::model
