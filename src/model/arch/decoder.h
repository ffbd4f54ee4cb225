#pragma once
// The one decoder behind every architecture of kArchs: transformer blocks of attention over paged KV and an MLP, whose
// norms, positions, activations and scales ModelConfig's fields choose.
//
// A step goes through all layers in slices of at most 512 tokens, so scratch does not grow with the batch. The
// residual stream, norms and softmax are float32; weights and KV are as loaded.
#include <vector>

#include "model/arch/decoder_shape.h"
#include "model/model.h"
#include "model/weights/decoder_weights.h"

namespace vllm::model {

class Decoder final : public Model {
 public:
  static constexpr int64_t kSliceTokens = 512;
  static constexpr int64_t kLogitsRows = 256;  // rows of a compute_logits call

  Decoder(ModelConfig config, const LoadOptions& options, DecoderWeights weights, int num_threads);

  const ModelConfig& config() const override { return config_; }
  const KvCacheSpec& kv_spec() const override { return shape_.kv_spec; }
  void forward(const ForwardBatch& batch, const ForwardContext& context, TensorView<float, 2> hidden) override;
  void compute_logits(TensorView<const float, 2> hidden, const ForwardContext& context,
                      TensorView<float, 2> logits) override;
  size_t weight_bytes() const override { return weights_.bytes; }
  void reserve(int64_t max_tokens, int64_t max_seqs) override;
  size_t scratch_bytes() const override { return scratch_.size() + attention_scratch_.size() + projected_.size(); }
  std::vector<LinearCall> linear_calls() const override;

 private:
  // Part of a batch: tokens [begin, end) and the sequences they belong to.
  struct Slice {
    int64_t begin = 0, end = 0;
    int64_t first_seq = 0;
    std::span<const int32_t> query_start;  // of these sequences, from 0
    std::span<const int32_t> seq_lens;     // up to this slice's last token of each
    int64_t size() const { return end - begin; }
  };
  // Views of this slice's rows in scratch_.
  struct Activations {
    TensorView<float, 2> x, h, q, k, v, attention, gate, up;  // x: the residual stream
    TensorView<float, 2> cos, sin, local_cos, local_sin;
    TensorView<float, 2> embedded;  // where a projection follows the embedding
    size_t bytes = 0;
  };

  Slice next_slice(const ForwardBatch& batch, int64_t begin);
  Activations activations(int64_t num_tokens) const;
  void embed(const ForwardBatch& batch, const Slice& slice, const Activations& a, ThreadPool& pool);
  void add_positions(const ForwardBatch& batch, const Slice& slice, const Activations& a, ThreadPool& pool);
  void make_rope_tables(const ForwardBatch& batch, const Slice& slice, const Activations& a, ThreadPool& pool);
  void layer(int layer, const ForwardBatch& batch, const Slice& slice, const Activations& a,
             const ForwardContext& context);
  /// What a block reads: norm(x), in h; x itself where its input is not normed. `pending`: h is added to x first.
  TensorView<float, 2> block_input(const Norm& n, const Activations& a, bool pending, ThreadPool& pool);
  /// A block's output onto the residual stream, and the norms that follow it.
  void block_output(const Linear& w, const TensorView<float, 2>& in, bool two_terms, const Norm& post_norm,
                    const Norm& norm, const Activations& a, ThreadPool& pool);
  /// From `in` to a.attention.
  void attention(int layer, TensorView<float, 2> in, const ForwardBatch& batch, const Slice& slice,
                 const Activations& a, const ForwardContext& context);
  void norm_and_turn(int layer, const ForwardBatch& batch, const Slice& slice, const Activations& a, ThreadPool& pool);
  /// From `in` to a.up.
  void mlp_up(int layer, TensorView<float, 2> in, const Activations& a, ThreadPool& pool);
  void apply_norm(const Norm& n, TensorView<float, 2> out, TensorView<float, 2> x, TensorView<float, 2> residual,
                  ThreadPool& pool) const;
  void final_norm(const ForwardBatch& batch, const Slice& slice, const Activations& a, size_t& row,
                  TensorView<float, 2> hidden, ThreadPool& pool);
  std::span<std::byte> linear_scratch() const;
  size_t attention_scratch_bytes(int num_threads) const;

  const ModelConfig config_;
  const DecoderWeights weights_;
  const DecoderShape shape_;
  // Block outputs are added where the next norm reads the residual stream, not before.
  const bool all_in_two_terms_;  // how quantized weights see their input: decoder_blocks.cc
  const bool adds_late_;
  int num_threads_ = 1;

  int64_t max_rows_ = 0, max_seqs_ = 0;
  Buffer scratch_;  // activations, then the linear op's workspace
  Buffer attention_scratch_;
  Buffer projected_;                             // [kLogitsRows, embedding_size], where the lm_head reads a projection
  size_t linear_offset_ = 0;                     // bytes into scratch_
  std::vector<int32_t> query_start_, seq_lens_;  // of the current slice
  std::vector<int32_t> rows_;                    // of the learned positions, likewise
};

}  // namespace vllm::model
