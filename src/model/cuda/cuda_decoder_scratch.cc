// What a CudaDecoder allocates before its first step, and where activations lie in it.
#include <cuda_runtime_api.h>

#include <algorithm>

#include "kernels/kv_layout/kv_scales.h"
#include "model/arch/cuda_support.h"
#include "model/arch/registry.h"
#include "model/cuda/cuda_decoder.h"
#include "tensor/cuda/error.h"

namespace vllm::model {
namespace {

constexpr size_t kAlignment = 256;

// Hands out [rows, width] matrices one after the other; without memory it only counts.
class Layout {
 public:
  explicit Layout(std::byte* base) : base_(base) {}
  TensorView<void, 2> take(int64_t rows, int64_t width, DType dtype) {
    TensorView<void, 2> view(base_ ? base_ + used_ : nullptr, {rows, width}, dtype);
    const size_t bytes = static_cast<size_t>(rows) * row_bytes(dtype, width);
    used_ += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    return view;
  }
  TensorView<float, 2> floats(int64_t rows, int64_t width) {
    return {static_cast<float*>(take(rows, width, DType::kFloat32).data), {rows, width}};
  }
  size_t bytes() const { return used_; }

 private:
  std::byte* base_;
  size_t used_ = 0;
};

}  // namespace

CudaDecoder::CudaDecoder(ModelConfig config, const LoadOptions& options, CudaDecoderWeights weights)
    : config_(std::move(config)),
      dtype_(options.dtype),
      weights_(std::move(weights)),
      shape_(decoder_shape(config_, options)) {}

LinearBack CudaDecoder::gated_back() const {
  const Activation a = config_.activation;
  return a == Activation::kSilu   ? LinearBack::kGatedSilu
         : a == Activation::kGelu ? LinearBack::kGatedGelu
                                  : LinearBack::kGatedGeluTanh;
}

CudaDecoder::Activations CudaDecoder::activations(int64_t num_tokens) const {
  const ModelConfig& c = config_;
  const int64_t slice = std::min(num_tokens, kSliceTokens);
  const int64_t q = int64_t{c.num_heads} * c.head_dim, kv = int64_t{c.num_kv_heads} * c.head_dim;
  const auto half = static_cast<int64_t>(shape_.rope.inv_freq.size());
  const auto local_half = static_cast<int64_t>(shape_.rope_local.inv_freq.size());
  Layout layout(scratch_.data());
  Activations a;
  a.x = layout.floats(num_tokens, c.hidden_size);
  if (c.post_norms) a.h = layout.floats(num_tokens, c.hidden_size);
  a.stream_bytes = layout.bytes();
  if (c.post_norms) a.normed = layout.take(slice, c.hidden_size, dtype_);
  a.qkv = layout.take(num_tokens, q + 2 * kv, dtype_);
  a.attention = layout.take(num_tokens, q, dtype_);
  a.gated = layout.take(slice, c.intermediate_size, dtype_);
  a.cos = layout.floats(num_tokens, half), a.sin = layout.floats(num_tokens, half);
  if (shape_.has_local_rope) {
    a.local_cos = layout.floats(num_tokens, local_half), a.local_sin = layout.floats(num_tokens, local_half);
  }
  a.bytes = layout.bytes();
  return a;
}

// Behind the places of its rows.
CudaDecoder::Activations CudaDecoder::wanted_activations(int64_t num_rows) const {
  const ModelConfig& c = config_;
  Layout layout(wanted_.data());
  layout.floats(limits_.max_logits, 1);
  Activations a;
  a.x = layout.floats(num_rows, c.hidden_size);
  if (c.post_norms) a.h = layout.floats(num_rows, c.hidden_size);
  if (c.post_norms) a.normed = layout.take(num_rows, c.hidden_size, dtype_);
  a.attention = layout.take(num_rows, int64_t{c.num_heads} * c.head_dim, dtype_);
  a.gated = layout.take(num_rows, c.intermediate_size, dtype_);
  a.bytes = layout.bytes();
  return a;
}

size_t CudaDecoder::scratch_bytes() const {
  return scratch_.size() + wanted_.size() + inv_freq_.size() + (attention_ ? attention_->workspace_bytes() : 0);
}

Status CudaDecoder::reserve(const CudaLimits& limits) {
  if (limits.max_tokens < 1 || limits.max_seqs < 1 || limits.num_phases < 1 || limits.block_size < 1) {
    return invalid_argument("a step of {} tokens and {} sequences cannot be reserved", limits.max_tokens,
                            limits.max_seqs);
  }
  if (limits.max_logits < 1 || limits.max_logits > kMaxLogits) {
    return invalid_argument("max_logits is {}, expected 1 to {}", limits.max_logits, kMaxLogits);
  }
  limits_ = limits;
  const Activations largest = activations(limits.max_tokens);
  tail_offset_ = largest.stream_bytes;
  ASSIGN_OR_RETURN(scratch_, DeviceBuffer::allocate(std::max(largest.bytes, tail_offset_ + limits.tail_bytes),
                                                    "a step's activations"));

  ASSIGN_OR_RETURN(wanted_, DeviceBuffer::allocate(wanted_activations(limits.max_logits).bytes,
                                                   "activations of the rows whose logits are wanted"));

  std::vector<double> frequencies = shape_.rope.inv_freq;
  frequencies.insert(frequencies.end(), shape_.rope_local.inv_freq.begin(), shape_.rope_local.inv_freq.end());
  const size_t bytes = frequencies.size() * sizeof(double);
  ASSIGN_OR_RETURN(inv_freq_, DeviceBuffer::allocate(bytes, "rotary frequencies"));
  CUDA_RETURN_IF_ERROR(cudaMemcpy(inv_freq_.data(), frequencies.data(), bytes, cudaMemcpyHostToDevice));
  CUDA_RETURN_IF_ERROR(cudaDeviceSynchronize());  // the copy is then seen by every stream

  RETURN_IF_ERROR(prepare_linears());
  const int64_t max_model_len = limits.max_model_len > 0 ? limits.max_model_len : config_.max_position;
  AttentionCudaShape shape{.num_heads = config_.num_heads,
                           .num_kv_heads = config_.num_kv_heads,
                           .head_dim = config_.head_dim,
                           .dtype = dtype_,
                           .kv_dtype = shape_.kv_spec.dtype,
                           .block_size = limits.block_size,
                           .max_seqs = limits.max_seqs,
                           .max_tokens = limits.max_tokens,
                           .max_blocks = (max_model_len + limits.block_size - 1) / limits.block_size,
                           .num_phases = limits.num_phases * static_cast<int>(shape_.kv_spec.groups.size()),
                           .plain = limits.batch_invariant};
  ASSIGN_OR_RETURN(attention_, PagedAttentionCuda::create(shape));
  return {};
}

Status CudaDecoder::prepare_linears() {
  const ModelConfig& c = config_;
  const int64_t q = int64_t{c.num_heads} * c.head_dim, kv = int64_t{c.num_kv_heads} * c.head_dim;
  LinearCuda::Options layers{.max_tokens = std::min(limits_.max_tokens, kSliceTokens),
                             .max_k = std::max({c.hidden_size, q, c.intermediate_size}),
                             .max_n = std::max({c.hidden_size, q + 2 * kv, 2 * c.intermediate_size}),
                             .dtype = dtype_,
                             .use_cublaslt = limits_.use_cublaslt,
                             .batch_invariant = limits_.batch_invariant};
  LinearCuda::Options head{.max_tokens = limits_.max_logits,
                           .max_k = c.hidden_size,
                           .max_n = c.vocab_size,
                           .dtype = dtype_,
                           .use_cublaslt = limits_.use_cublaslt,
                           .batch_invariant = limits_.batch_invariant};
  ASSIGN_OR_RETURN(linear_, LinearCuda::create(layers));
  ASSIGN_OR_RETURN(head_, LinearCuda::create(head));
  RETURN_IF_ERROR(linear_->prepare(q + 2 * kv, c.hidden_size, LinearBack::kNone));
  RETURN_IF_ERROR(linear_->prepare(c.hidden_size, q, LinearBack::kNone));
  RETURN_IF_ERROR(linear_->prepare(2 * c.intermediate_size, c.hidden_size, gated_back()));
  RETURN_IF_ERROR(linear_->prepare(c.hidden_size, c.intermediate_size, LinearBack::kNone));
  return head_->prepare(c.vocab_size, c.hidden_size, LinearBack::kNone);
}

Result<std::unique_ptr<CudaModel>> load_cuda_model(const ModelConfig& config,
                                                   std::shared_ptr<const Checkpoint> checkpoint,
                                                   const LoadOptions& options) {
  RETURN_IF_ERROR(check_loadable(config, checkpoint.get(), options));
  if (options.kv_dtype == kKvInt8)
    return error(ErrorCode::kUnimplemented, "a KV cache of int8 is built for the CPU only");
  RETURN_IF_ERROR(check_cuda_support(config));
  ASSIGN_OR_RETURN(CudaDecoderWeights weights, load_weights_cuda(config, checkpoint.get(), options));
  return std::unique_ptr<CudaModel>(std::make_unique<CudaDecoder>(config, options, std::move(weights)));
}

}  // namespace vllm::model
