#pragma once
// A model on a GPU: the decoder of arch/decoder.h with weights and activations in device memory.
#include <functional>
#include <memory>

#include "base/result.h"
#include "hub/checkpoint.h"
#include "model/config.h"
#include "model/cuda/cuda_batch.h"
#include "model/model.h"
#include "tensor/cuda/stream_ref.h"
#include "tensor/tensor_view.h"

namespace vllm::model {

struct CudaLimits {
  int64_t max_tokens = 0;  // of one step, padding included
  int max_seqs = 0;        // likewise
  int64_t max_logits = 0;  // rows of compute_logits in one call: at most 256
  int64_t max_model_len = 0;
  int block_size = 16;
  int num_phases = 2;
  bool use_cublaslt = true;
  size_t tail_bytes = 0;         // see CudaModel::tail
  bool batch_invariant = false;  // a token's logits are the same bits in any batch and chunk; slower
};

class CudaModel {
 public:
  virtual ~CudaModel() = default;
  virtual const ModelConfig& config() const = 0;
  virtual const KvCacheSpec& kv_spec() const = 0;  // pages as kernels/kv_layout/kv_layout_cuda.h has them
  /// Allocate everything that steps of these limits need; called once, before the first forward.
  virtual Status reserve(const CudaLimits& limits) = 0;
  /// Launch the layers; hidden [num_logits, hidden_size] of T: the final-normed rows of batch.logits_rows. `kv.base` is
  /// device memory. Never synchronizes or allocates; with batch.decode or batch.decodes
  /// graph-safe.
  virtual Status forward(const CudaBatch& batch, const KvCacheView& kv, TensorView<void, 2> hidden,
                         StreamRef stream) = 0;
  /// Launch logits [rows, vocab] float32 of hidden rows.
  virtual Status compute_logits(TensorView<const void, 2> hidden, TensorView<float, 2> logits, StreamRef stream) = 0;
  /// True if a decode of these lengths is better off with the kernels that split the work by load (batch.lopsided).
  virtual bool is_lopsided(int num_seqs, int64_t longest, int64_t total) const = 0;
  /// True if forward knows batch.decodes of up to `decodes` sequences.
  virtual bool mixes(int decodes) const = 0;
  /// limits.tail_bytes inside of the activations' memory, for what follows a forward: its `hidden` may lie there, and
  /// logits. It is the caller's from forward's last kernel to the next forward, in stream order.
  virtual std::byte* tail() const = 0;
  virtual DType dtype() const = 0;
  virtual size_t weight_bytes() const = 0;
  virtual size_t scratch_bytes() const = 0;
};

/// Load onto the current device. Same checkpoints, options and errors as load_model (model.h); GGUF block types are
/// dequantized to `options.dtype` as they are loaded, and a log line says so.
Result<std::unique_ptr<CudaModel>> load_cuda_model(const ModelConfig& config,
                                                   std::shared_ptr<const Checkpoint> checkpoint,
                                                   const LoadOptions& options);

}  // namespace vllm::model
