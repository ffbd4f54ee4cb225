#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <optional>
#include <set>

#include "base/log.h"
#include "kernels/linear/linear_cuda.h"
#include "model/cuda/dummy_fill.h"
#include "model/cuda/weight_upload.h"
#include "model/cuda/weights_cuda.h"
#include "model/weights/convert.h"
#include "model/weights/dummy_numbers.h"
#include "model/weights/tensor_source.h"
#include "tensor/cpu_info.h"

namespace vllm::model {
namespace {

constexpr size_t kAlignment = 256;
constexpr int kMaxThreads = 16;  // more do not read the page cache faster

// Walks over all weights twice: once to check them, to read the vectors and to sum up sizes, then, with the memory
// there, to load the matrices. The memory holds the vectors first.
class CudaLoader {
 public:
  CudaLoader(const ModelConfig& config, const Checkpoint* checkpoint, const LoadOptions& options)
      : config_(config),
        dtype_(options.dtype),
        source_(config, checkpoint, options),
        pool_(std::clamp(usable_cpus(), 1, kMaxThreads)) {
    for (bool up : {false, true}) {
      for (int64_t i = 0; i < config.intermediate_size; ++i)
        gated_.push_back(static_cast<int32_t>(gated_row(i, up, config.intermediate_size)));
    }
  }

  Result<CudaDecoderWeights> load() {
    auto start = std::chrono::steady_clock::now();
    RETURN_IF_ERROR(walk());
    const size_t vector_bytes = align(vectors_.size() * sizeof(float)), total = vector_bytes + used_;
    ASSIGN_OR_RETURN(weights_.memory, DeviceBuffer::allocate(total, "the model"));
    device_vectors_ = weights_.memory.as<float>(), device_matrices_ = weights_.memory.data() + vector_bytes;
    ASSIGN_OR_RETURN(upload_, make_upload(total));
    ASSIGN_OR_RETURN(stream_, CudaStream::create());
    if (source_.dummy()) {
      ASSIGN_OR_RETURN(device_gated_, DeviceBuffer::allocate(gated_.size() * sizeof(int32_t), "loading weights"));
      RETURN_IF_ERROR(upload_->bytes(device_gated_.data(), std::as_bytes(std::span(gated_))));
      RETURN_IF_ERROR(upload_->finish());
    }
    RETURN_IF_ERROR(upload_->bytes(weights_.memory.data(), std::as_bytes(std::span(vectors_))));
    RETURN_IF_ERROR(walk());
    RETURN_IF_ERROR(upload_->finish());
    RETURN_IF_ERROR(stream_.synchronize());
    source_.finish();
    log(total, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    return std::move(weights_);
  }

 private:
  enum class Merge { kStack, kGated };
  using Ids = std::initializer_list<TensorId>;

  bool loading() const { return device_matrices_ != nullptr; }
  static size_t align(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

  Result<std::optional<WeightUpload>> make_upload(size_t total_bytes) {
    ASSIGN_OR_RETURN(WeightUpload upload, WeightUpload::create(pool_, total_bytes));
    return std::optional<WeightUpload>(std::move(upload));
  }

  Status walk() {
    const ModelConfig& c = config_;
    used_ = 0, next_vector_ = 0;
    ASSIGN_OR_RETURN(CudaLinear embedding, matrix(0, {TensorId::kEmbedding}, Merge::kStack));
    weights_.embedding = embedding.weight;
    weights_.layers.resize(static_cast<size_t>(c.num_layers));
    for (int i = 0; i < c.num_layers; ++i) RETURN_IF_ERROR(layer(i, weights_.layers[static_cast<size_t>(i)]));
    ASSIGN_OR_RETURN(weights_.final_norm, norm(TensorId::kFinalNorm, 0, c.hidden_size));
    weights_.lm_head = embedding;
    if (!c.tie_word_embeddings) {
      ASSIGN_OR_RETURN(weights_.lm_head, matrix(0, {TensorId::kLmHead}, Merge::kStack));
    }
    return {};
  }

  Status layer(int i, CudaLayerWeights& w) {
    const ModelConfig& c = config_;
    ASSIGN_OR_RETURN(w.attention_norm, norm(TensorId::kAttentionNorm, i, c.hidden_size));
    ASSIGN_OR_RETURN(w.mlp_norm, norm(TensorId::kMlpNorm, i, c.hidden_size));
    if (c.post_norms) {
      ASSIGN_OR_RETURN(w.attention_post_norm, norm(TensorId::kAttentionPostNorm, i, c.hidden_size));
      ASSIGN_OR_RETURN(w.mlp_post_norm, norm(TensorId::kMlpPostNorm, i, c.hidden_size));
    }
    if (c.qk_norm != QkNorm::kNone) {
      ASSIGN_OR_RETURN(w.q_norm, norm(TensorId::kQNorm, i, c.head_dim));
      ASSIGN_OR_RETURN(w.k_norm, norm(TensorId::kKNorm, i, c.head_dim));
    }
    ASSIGN_OR_RETURN(w.qkv, matrix(i, {TensorId::kQ, TensorId::kK, TensorId::kV}, Merge::kStack));
    ASSIGN_OR_RETURN(w.o, matrix(i, {TensorId::kO}, Merge::kStack));
    ASSIGN_OR_RETURN(w.gate_up, matrix(i, {TensorId::kGate, TensorId::kUp}, Merge::kGated));
    ASSIGN_OR_RETURN(w.down, matrix(i, {TensorId::kDown}, Merge::kStack));
    return {};
  }

  // Vectors are read in the first walk and get their addresses in the second.
  const float* place_vector(int64_t n) {
    const auto at = static_cast<size_t>(next_vector_);
    next_vector_ += (n + 63) / 64 * 64;
    if (loading()) return device_vectors_ + at;
    vectors_.resize(static_cast<size_t>(next_vector_));
    return nullptr;
  }

  Result<const float*> norm(TensorId id, int layer, int64_t n) {
    const auto at = static_cast<size_t>(next_vector_);
    const float* device = place_vector(n);
    if (!loading()) {
      RETURN_IF_ERROR(source_.norm(id, layer, std::span(vectors_).subspan(at, static_cast<size_t>(n))));
    }
    return device;
  }

  // The merged weight of `ids`, whose k agree, and their biases.
  Result<CudaLinear> matrix(int layer, Ids ids, Merge merge) {
    CudaLinear out{.k = source_.shape(*ids.begin()).k};
    for (TensorId id : ids) out.n += source_.shape(id).n;
    if (out.k % 8 != 0) {
      return error(ErrorCode::kUnimplemented,
                   "a weight of {} columns is not built for GPUs, which need a multiple of 8", out.k);
    }
    if (out.n > INT32_MAX) return invalid_argument("a weight of {} rows is too large", out.n);
    if (source_.shape(*ids.begin()).bias) {
      ASSIGN_OR_RETURN(out.bias, bias(layer, ids, merge, out.n));
    }
    const size_t offset = used_;
    used_ += align(row_bytes(dtype_, out.k) * static_cast<size_t>(out.n));
    if (!loading()) {
      for (TensorId id : ids) {
        if (!source_.dummy()) RETURN_IF_ERROR(source_.matrix(id, layer));
      }
      return out;
    }
    std::byte* device = device_matrices_ + offset;
    out.weight = device;
    RETURN_IF_ERROR(source_.dummy() ? fill(layer, ids, merge, out.k, device) : upload(layer, ids, merge, out, device));
    return out;
  }

  // Row of a merged weight that holds row i of its tensor number j, in front of which lie `first` rows.
  int64_t merged_row(Merge merge, int64_t first, int64_t i) const {
    return merge == Merge::kGated ? gated_[static_cast<size_t>(first + i)] : first + i;
  }

  Result<const float*> bias(int layer, Ids ids, Merge merge, int64_t n) {
    const int64_t at = next_vector_;
    const float* device = place_vector(n);
    if (loading()) return device;
    int64_t first = 0;
    for (TensorId id : ids) {
      std::vector<float> values(static_cast<size_t>(source_.shape(id).n));
      RETURN_IF_ERROR(source_.bias(id, layer, values));
      for (size_t i = 0; i < values.size(); ++i) {
        vectors_[static_cast<size_t>(at + merged_row(merge, first, static_cast<int64_t>(i)))] = values[i];
      }
      first += static_cast<int64_t>(values.size());
    }
    return device;
  }

  Status fill(int layer, Ids ids, Merge merge, int64_t k, std::byte* device) {
    int64_t first = 0;
    for (TensorId id : ids) {
      const bool gated = merge == Merge::kGated;
      const int64_t n = source_.shape(id).n;
      RETURN_IF_ERROR(
          dummy_fill_cuda({.out = gated ? device : device + row_bytes(dtype_, k) * static_cast<size_t>(first),
                           .dtype = dtype_,
                           .n = n,
                           .k = k,
                           .out_rows = gated ? device_gated_.as<int32_t>() + first : nullptr,
                           .seed = dummy_seed(id, layer)},
                          stream_));
      first += n;
    }
    return {};
  }

  Status upload(int layer, Ids ids, Merge merge, const CudaLinear& shape, std::byte* device) {
    std::vector<SourceRow> rows(static_cast<size_t>(shape.n));
    int64_t first = 0;
    size_t bytes = 0;
    for (TensorId id : ids) {
      ASSIGN_OR_RETURN(const SourceMatrix m, source_.matrix(id, layer));
      const DType type = m.tensor->dtype;
      for (int64_t i = 0; i < m.n; ++i) {
        rows[static_cast<size_t>(merged_row(merge, first, i))] = {m.row_data(i), type};
      }
      if (type != dtype_) converted_.insert(type);
      first += m.n, bytes += m.bytes();
    }
    RETURN_IF_ERROR(upload_->rows(device, dtype_, shape.k, rows));
    source_.advance(bytes);
    return {};
  }

  void log(size_t bytes, double seconds) const {
    for (DType type : converted_) {
      LOG_INFO("{} weights are {} to {} as they are loaded", info(type).name,
               is_quantized(type) ? "dequantized" : "converted", info(dtype_).name);
    }
    const double gib = static_cast<double>(bytes) / (1 << 30);
    LOG_INFO("Loading weights took {:.2f} seconds: {:.2f} GiB at {:.1f} GiB/s{}", seconds, gib, gib / seconds,
             source_.dummy() ? " (dummies)" : "");
  }

  const ModelConfig& config_;
  const DType dtype_;
  TensorSource source_;
  ThreadPool pool_;
  std::vector<int32_t> gated_;  // [2 * intermediate]: merged rows of gate, then of up
  std::vector<float> vectors_;  // norms and biases, each on 256 bytes
  int64_t next_vector_ = 0;     // in vectors_, of this walk
  size_t used_ = 0;             // bytes of matrices, of this walk
  float* device_vectors_ = nullptr;
  std::byte* device_matrices_ = nullptr;  // null in the first walk
  CudaDecoderWeights weights_;
  CudaStream stream_;  // of dummies
  DeviceBuffer device_gated_;
  std::optional<WeightUpload> upload_;
  std::set<DType> converted_;
};

}  // namespace

Result<CudaDecoderWeights> load_weights_cuda(const ModelConfig& config, const Checkpoint* checkpoint,
                                             const LoadOptions& options) {
  return CudaLoader(config, options.dummy_weights ? nullptr : checkpoint, options).load();
}

}  // namespace vllm::model
