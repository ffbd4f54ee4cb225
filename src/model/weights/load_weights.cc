#include <algorithm>
#include <iterator>

#include "model/weights/decoder_weights.h"
#include "model/weights/dummy_numbers.h"
#include "model/weights/source_matrix.h"
#include "model/weights/tensor_source.h"
#include "tensor/cpu_info.h"

namespace vllm::model {
namespace {

class Loader {
 public:
  Loader(const ModelConfig& config, std::shared_ptr<const Checkpoint> checkpoint, const LoadOptions& options,
         ThreadPool& pool)
      : config_(config), options_(options), pool_(pool), source_(config, checkpoint.get(), options) {
    weights_.checkpoint = std::move(checkpoint);
  }

  Result<DecoderWeights> load() {
    const ModelConfig& c = config_;
    ASSIGN_OR_RETURN(LinearWeight embedding, matrix(TensorId::kEmbedding, 0, false));
    weights_.embedding = embedding.data, weights_.embedding_dtype = embedding.dtype;
    if (c.position == PositionType::kLearned) {
      ASSIGN_OR_RETURN(LinearWeight positions, matrix(TensorId::kPositions, 0, false));
      weights_.positions = positions.data, weights_.positions_dtype = positions.dtype;
    }
    if (c.embedding_size > 0) {
      ASSIGN_OR_RETURN(weights_.project_in, linear(TensorId::kProjectIn, 0));
      ASSIGN_OR_RETURN(weights_.project_out, linear(TensorId::kProjectOut, 0));
    }
    weights_.layers.resize(static_cast<size_t>(c.num_layers));
    for (int i = 0; i < c.num_layers; ++i) RETURN_IF_ERROR(load_layer(i, weights_.layers[static_cast<size_t>(i)]));
    if (c.final_norm) {
      ASSIGN_OR_RETURN(weights_.final_norm, norm(TensorId::kFinalNorm, 0));
    }
    if (c.tie_word_embeddings) {
      weights_.lm_head.weight = pack(embedding, true);
      release_rows(embedding);
    } else {
      ASSIGN_OR_RETURN(weights_.lm_head.weight, matrix(TensorId::kLmHead, 0, true));
    }
    source_.finish();
    return std::move(weights_);
  }

 private:
  Status load_layer(int i, LayerWeights& w) {
    const ModelConfig& c = config_;
    if (c.pre_norms || c.norm_after_add) {
      ASSIGN_OR_RETURN(w.attention_norm, norm(TensorId::kAttentionNorm, i));
      if (!c.shared_norm) {
        ASSIGN_OR_RETURN(w.mlp_norm, norm(TensorId::kMlpNorm, i));
      }
    }
    if (c.post_norms) {
      ASSIGN_OR_RETURN(w.attention_post_norm, norm(TensorId::kAttentionPostNorm, i));
      ASSIGN_OR_RETURN(w.mlp_post_norm, norm(TensorId::kMlpPostNorm, i));
    }
    if (c.qk_norm != QkNorm::kNone) {
      ASSIGN_OR_RETURN(w.q_norm, norm(TensorId::kQNorm, i));
      ASSIGN_OR_RETURN(w.k_norm, norm(TensorId::kKNorm, i));
    }
    ASSIGN_OR_RETURN(w.q, linear(TensorId::kQ, i));
    ASSIGN_OR_RETURN(w.k, linear(TensorId::kK, i));
    ASSIGN_OR_RETURN(w.v, linear(TensorId::kV, i));
    ASSIGN_OR_RETURN(w.o, linear(TensorId::kO, i));
    if (c.gated_mlp) {
      ASSIGN_OR_RETURN(w.gate, linear(TensorId::kGate, i));
    }
    ASSIGN_OR_RETURN(w.up, linear(TensorId::kUp, i));
    ASSIGN_OR_RETURN(w.down, linear(TensorId::kDown, i));
    return {};
  }

  Result<Linear> linear(TensorId id, int layer) {
    Linear out;
    ASSIGN_OR_RETURN(out.weight, matrix(id, layer, true));
    const LinearShape shape = source_.shape(id);
    if (shape.bias) {
      std::span<float> bias = own_floats(shape.n);
      RETURN_IF_ERROR(source_.bias(id, layer, bias));
      out.bias = bias;
    }
    return out;
  }

  Result<Norm> norm(TensorId id, int layer) {
    const int64_t n = source_.norm_size(id);
    std::span<float> weight = own_floats(n);
    RETURN_IF_ERROR(source_.norm(id, layer, weight));
    Norm out{.weight = weight, .bias = {}};
    if (config_.norm_bias && id != TensorId::kQNorm && id != TensorId::kKNorm) {
      std::span<float> bias = own_floats(n);
      RETURN_IF_ERROR(source_.norm_bias(id, layer, bias));
      out.bias = bias;
    }
    return out;
  }

  // `to_pack`: for the linear op, which may want it in another form.
  Result<LinearWeight> matrix(TensorId id, int layer, bool to_pack) {
    if (source_.dummy()) {
      const LinearWeight w = dummy(id, layer);
      return to_pack ? pack(w, false) : w;
    }
    ASSIGN_OR_RETURN(const SourceMatrix m, source_.matrix(id, layer));
    source_.advance(m.bytes());
    const DType from = m.tensor->dtype, dtype = is_quantized(from) ? from : options_.dtype;
    LinearWeight w{.data = m.row_data(0), .dtype = dtype, .n = m.n, .k = m.k};
    const size_t bytes = row_bytes(dtype, m.k) * static_cast<size_t>(m.n);
    weights_.bytes += bytes;
    const bool aligned = reinterpret_cast<uintptr_t>(w.data) % 4 == 0 || is_quantized(dtype);
    const bool copied = dtype != from || !m.in_place() || !aligned;
    if (copied) {
      Buffer& copy = own(bytes);
      convert_matrix(m, copy.data(), dtype, pool_);
      w.data = copy.data();
    }
    if (to_pack) w = pack(w, !copied);
    if (to_pack || copied) weights_.checkpoint->release(m.tensor->data);
    return w;
  }

  // `keep_source`: the unpacked form is mapped or used elsewhere; otherwise it is the newest buffer and goes.
  LinearWeight pack(const LinearWeight& w, bool keep_source) {
    if (!wants_packing(w)) return w;
    const LinearPacking packing = choose_linear_packing(w, pool_);
    LinearWeight packed = pack_linear_weight(w, packing, weights_.packed.allocate(packing.bytes), pool_);
    if (!keep_source) weights_.owned.pop_back();
    return packed;
  }

  // A table of which a step reads some rows only.
  void release_rows(const LinearWeight& w) {
    const size_t bytes = row_bytes(w.dtype, w.k) * static_cast<size_t>(w.n);
    if (weights_.checkpoint) weights_.checkpoint->release({static_cast<const std::byte*>(w.data), bytes});
  }

  LinearWeight dummy(TensorId id, int layer) {
    const int64_t n = source_.shape(id).n, k = source_.shape(id).k;
    const size_t stride = row_bytes(options_.dtype, k);
    Buffer& out = own(stride * static_cast<size_t>(n));
    const double scale = dummy_scale(k);
    const uint64_t seed = dummy_seed(id, layer);
    pool_.parallel_for(n, [&](int64_t r, int) {
      float x[256];
      for (int64_t i = 0; i < k; i += std::ssize(x)) {
        const int64_t count = std::min<int64_t>(std::ssize(x), k - i);
        for (int64_t j = 0; j < count; ++j) x[j] = dummy_number(seed, r, i + j, scale);
        std::byte* at = out.data() + stride * static_cast<size_t>(r) + row_bytes(options_.dtype, i);
        convert_row(reinterpret_cast<const std::byte*>(x), DType::kFloat32, at, options_.dtype, count);
      }
    });
    weights_.bytes += out.size();
    return {.data = out.data(), .dtype = options_.dtype, .n = n, .k = k};
  }

  Buffer& own(size_t bytes) { return weights_.owned.emplace_back(bytes); }

  std::span<float> own_floats(int64_t n) {
    const size_t bytes = static_cast<size_t>(n) * sizeof(float);
    weights_.bytes += bytes;
    return {own(bytes).as<float>(), static_cast<size_t>(n)};
  }

  const ModelConfig& config_;
  const LoadOptions& options_;
  ThreadPool& pool_;
  TensorSource source_;
  DecoderWeights weights_;
};

// Nothing but the config bounds dummy weights, so a size that cannot be held is an error before the first allocation.
Status check_dummy_memory(const ModelConfig& c, DType dtype) {
  double heads = static_cast<double>(c.num_heads + c.num_kv_heads) * c.head_dim,
         hidden = static_cast<double>(c.hidden_size);
  double layer = 2 * heads * hidden + 3 * hidden * static_cast<double>(c.intermediate_size);
  double elements = c.num_layers * layer + (c.tie_word_embeddings ? 1 : 2) * static_cast<double>(c.vocab_size) * hidden;
  if (c.position == PositionType::kLearned) elements += static_cast<double>(c.max_position) * hidden;
  double bytes = 1.1 * elements * info(dtype).block_bytes, available = static_cast<double>(available_memory_bytes());
  if (bytes <= available) return {};
  return error(ErrorCode::kResourceExhausted, "dummy weights need {:.1f} GiB, of {:.1f} GiB available memory",
               bytes / (1 << 30), available / (1 << 30));
}

}  // namespace

Result<DecoderWeights> load_weights(const ModelConfig& config, std::shared_ptr<const Checkpoint> checkpoint,
                                    const LoadOptions& options, ThreadPool& pool) {
  if (options.dummy_weights) RETURN_IF_ERROR(check_dummy_memory(config, options.dtype));
  return Loader(config, options.dummy_weights ? nullptr : std::move(checkpoint), options, pool).load();
}

}  // namespace vllm::model
