#pragma once
// The decoder of arch/decoder.h on a GPU.
//
// The residual stream of the whole step is float32 [num_tokens, hidden]; what goes through GEMMs and attention has the
// model's dtype T. A step above kSliceTokens goes through the linear layers in slices, so that the widest activation
// does not grow with the batch; attention sees the whole step at once.
#include <optional>

#include "kernels/linear/linear_cuda.h"
#include "kernels/paged_attention/paged_attention_cuda.h"
#include "model/arch/decoder_shape.h"
#include "model/cuda/cuda_model.h"
#include "model/cuda/weights_cuda.h"

namespace vllm::model {

class CudaDecoder final : public CudaModel {
 public:
  static constexpr int64_t kSliceTokens = 2048;
  static constexpr int64_t kMaxLogits = 256;  // rows of a compute_logits call
  static constexpr int kFusedSeqs = 1024;     // decodes of up to so many sequences use decode_attention

  CudaDecoder(ModelConfig config, const LoadOptions& options, CudaDecoderWeights weights);

  const ModelConfig& config() const override { return config_; }
  const KvCacheSpec& kv_spec() const override { return shape_.kv_spec; }
  Status reserve(const CudaLimits& limits) override;
  Status forward(const CudaBatch& batch, const KvCacheView& kv, TensorView<void, 2> hidden, StreamRef stream) override;
  Status compute_logits(TensorView<const void, 2> hidden, TensorView<float, 2> logits, StreamRef stream) override;
  bool is_lopsided(int num_seqs, int64_t longest, int64_t total) const override;
  bool mixes(int decodes) const override;
  std::byte* tail() const override { return scratch_.data() + tail_offset_; }
  DType dtype() const override { return dtype_; }
  size_t weight_bytes() const override { return weights_.memory.size(); }
  size_t scratch_bytes() const override;

  /// Parts of forward that a benchmark may leave out, to see what they cost; the result is then meaningless.
  enum Part : unsigned { kLinears = 1, kNorms = 2, kQkvFinish = 4, kAttention = 8 };
  void leave_out(unsigned parts) { left_out_ = parts; }

 private:
  // Views into scratch_. T unless said otherwise; `slice` rows are those of one slice.
  struct Activations {
    TensorView<float, 2> x;                     // [tokens, hidden] the residual stream
    TensorView<float, 2> h;                     // [tokens, hidden] what post norms add to x, or empty
    TensorView<void, 2> normed;                 // [slice, hidden] with post norms, or empty
    TensorView<void, 2> qkv;                    // [tokens, (heads + 2 * kv_heads) * head_dim]
    TensorView<void, 2> attention;              // [tokens, heads * head_dim]
    TensorView<void, 2> gated;                  // [slice, intermediate]
    TensorView<float, 2> cos, sin;              // [tokens, rotary_dim / 2]
    TensorView<float, 2> local_cos, local_sin;  // or empty
    size_t stream_bytes = 0;                    // x and h: what forward's last kernel still reads
    size_t bytes = 0;
  };
  struct Step {
    const CudaBatch& batch;
    const KvCacheView& kv;
    Activations a;
    StreamRef stream;
    int fused = 0;  // the first so many sequences, each of one query: their attention is decode_attention_cuda's
  };

  Activations activations(int64_t num_tokens) const;
  Status check(const CudaBatch& batch, TensorView<void, 2> hidden) const;
  Status prepare_linears();
  Status make_rope_tables(const Step& s);
  Status plan_attention(const Step& s);
  Status attention(int layer, const Step& s);
  Status output(int layer, const Step& s);
  /// The step of the rows whose logits are wanted alone, for what follows the last attention; nothing where that would
  /// be no smaller.
  std::optional<CudaBatch> wanted_batch(const CudaBatch& batch) const;
  Activations wanted_activations(int64_t num_rows) const;
  /// From qkv to attention: in one kernel for the first fused_seqs sequences, by qkv_finish and the planned attention
  /// for the others.
  int fused_seqs(const CudaBatch& batch) const;
  bool can_fuse() const;
  Status fused_attention(int layer, const Step& s);
  Status split_attention(int layer, const Step& s);
  Status mlp(int layer, const Step& s);
  Status final_norm(const Step& s, TensorView<void, 2> hidden);
  /// out of [begin, end) = weight * norm(x); with post norms h is added to x first where `pending`.
  Status norm_linear(const Step& s, int64_t begin, int64_t end, const float* norm, bool pending, const CudaLinear& w,
                     TensorView<void, 2> out, LinearBack back);
  /// x += weight * in, of rows [begin, end); with post norms h = norm(weight * in).
  Status linear_add(const Step& s, int64_t begin, int64_t end, const CudaLinear& w, TensorView<const void, 2> in,
                    const float* post_norm);
  Status run(const LinearCudaParams& p, const Step& s) const;
  bool runs(Part part) const { return (left_out_ & part) == 0; }
  LinearBack gated_back() const;
  /// With a residual multiplier r the stream holds x / r: blocks are added to it as they are, and norms of it do not
  /// change with such an eps.
  float eps() const { return static_cast<float>(config_.norm_eps / (config_.residual_scale * config_.residual_scale)); }
  int phase(const CudaBatch& batch, size_t group) const;

  const ModelConfig config_;
  const DType dtype_;
  const CudaDecoderWeights weights_;
  const DecoderShape shape_;
  CudaLimits limits_;
  DeviceBuffer inv_freq_;  // double: of rope, then of rope_local
  DeviceBuffer scratch_;
  DeviceBuffer wanted_;                          // activations of the rows whose logits are wanted, and their places
  size_t tail_offset_ = 0;                       // behind the residual stream of the largest step
  std::optional<LinearCuda> linear_, head_;      // of the layers, of the lm_head
  std::optional<PagedAttentionCuda> attention_;  // a phase per group and phase of a step
  unsigned left_out_ = 0;
};

}  // namespace vllm::model
