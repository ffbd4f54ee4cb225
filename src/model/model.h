#pragma once
// A loaded model: weights and the forward pass over a batch of sequence slices with paged KV.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "hub/checkpoint.h"
#include "kernels/linear/linear.h"
#include "model/config.h"
#include "tensor/tensor_view.h"
#include "tensor/thread_pool.h"

namespace vllm::model {

/// Layers that share one block table: full-attention layers, or layers of one sliding window. A model that mixes both
/// is cut into groups of equal size (Gemma 3 270M: 3 full, 5 x 3 sliding), so that no page carries room that its group
/// doesn't use.
struct KvGroup {
  std::vector<int> layers;
  int64_t sliding_window = 0;  // 0 = full attention
};

/// What the KV pool must hold. Every group's page has the same size: a page of group g holds block_size tokens of
/// max over groups of layers.size() layers. Layout: [layer of the group][K area, V area], each as kernels/kv_layout
/// says.
struct KvCacheSpec {
  std::vector<KvGroup> groups;
  int num_kv_heads = 0;
  int head_dim = 0;
  DType dtype = DType::kBFloat16;
  int64_t bytes_per_block(
      int block_size) const;  // of one page, K and V, all layers of the largest group; a multiple of 64
};

/// The pool of pages: one allocation, `num_blocks` pages; block 0 is the null block, which padded rows write.
struct KvCacheView {
  std::byte* base = nullptr;
  int64_t num_blocks = 0;
  int block_size = 0;  // tokens
  const KvCacheSpec* spec = nullptr;
};

/// One step's batch, made by the prep of the worker (positions, slots and lengths are derived there, on the device's
/// side).
struct ForwardBatch {
  std::span<const int32_t> token_ids;                      // [num_tokens]
  std::span<const int32_t> positions;                      // [num_position_rows, num_tokens]; 1 row except for M-RoPE
  std::span<const int32_t> query_start;                    // [num_seqs + 1] into the tokens
  std::span<const int32_t> seq_lens;                       // [num_seqs] context length including this step's tokens
  std::vector<TensorView<const int32_t, 2>> block_tables;  // per group: [num_seqs, max_blocks] page ids
  std::vector<std::span<const int64_t>> slot_mapping;      // per group: [num_tokens] = page * block_size + offset
  std::span<const int32_t> logits_rows;                    // token rows whose logits are wanted, ascending
  TensorView<const float, 2> input_embeds;  // [num_tokens, hidden_size] in place of token embeddings, or empty
};

struct ForwardContext {
  KvCacheView kv;
  ThreadPool* pool = nullptr;
};

/// One call of the linear op in a step: the weights that share an input (q, k and v; gate and up).
struct LinearCall {
  std::string_view name;  // "qkv", "o", "gate_up" or "up", "down", "lm_head"
  std::vector<LinearWeight> weights;
  bool two_term_x = false;
};

class Model {
 public:
  virtual ~Model() = default;
  virtual const ModelConfig& config() const = 0;
  virtual const KvCacheSpec& kv_spec() const = 0;
  /// Run the layers; the final hidden states (after the last norm) of `logits_rows` land in `hidden` [rows,
  /// hidden_size].
  virtual void forward(const ForwardBatch& batch, const ForwardContext& context, TensorView<float, 2> hidden) = 0;
  /// logits[r, v] for hidden rows; call in tiles of at most 256 rows. With fewer columns than the vocabulary (a
  /// multiple of 16), those of the first tokens only.
  virtual void compute_logits(TensorView<const float, 2> hidden, const ForwardContext& context,
                              TensorView<float, 2> logits) = 0;
  virtual size_t weight_bytes() const = 0;
  /// Size the scratch for batches of up to max_tokens tokens; called once, before the first forward. Nothing allocates
  /// after it, unless forward gets a pool with more threads than load_model had and the machine has CPUs (then once).
  virtual void reserve(int64_t max_tokens, int64_t max_seqs) = 0;
  virtual size_t scratch_bytes() const = 0;
  /// The linear ops of a step in their order, the lm_head last: what a benchmark runs alone. Empty: not told.
  virtual std::vector<LinearCall> linear_calls() const { return {}; }
};

struct LoadOptions {
  DType dtype = DType::kBFloat16;     // storage of unquantized weights and GEMM inputs; --dtype
  DType kv_dtype = DType::kBFloat16;  // follows dtype for auto; float32 runs keep float32
  bool dummy_weights = false;         // --load-format dummy; the checkpoint may then be null
  int64_t max_model_len = 0;          // chooses longrope's factors; 0 = config.max_position
  std::function<void(double share)> on_progress;
};

/// Build the model of config.architecture from the checkpoint (HF or GGUF tensor names). kUnimplemented names the
/// architecture and lists those that are built; a missing or misshapen tensor is named.
Result<std::unique_ptr<Model>> load_model(const ModelConfig& config, std::shared_ptr<const Checkpoint> checkpoint,
                                          const LoadOptions& options, ThreadPool& pool);

}  // namespace vllm::model
