#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "model/weights/convert.h"
#include "model/weights/decoder_weights.h"
#include "model/weights/tensor_names.h"
#include "tensor/cpu_info.h"

namespace vllm::model {
namespace {

class Loader {
 public:
  Loader(const ModelConfig& config, std::shared_ptr<const Checkpoint> checkpoint, const LoadOptions& options,
         ThreadPool& pool)
      : config_(config),
        checkpoint_(checkpoint.get()),
        options_(options),
        pool_(pool),
        names_(config, checkpoint.get()) {
    weights_.checkpoint = std::move(checkpoint);
    total_ = checkpoint_ ? std::max<size_t>(1, checkpoint_->total_bytes()) : 0;
  }

  Result<DecoderWeights> load() {
    const ModelConfig& c = config_;
    const int64_t hidden = c.hidden_size;
    ASSIGN_OR_RETURN(LinearWeight embedding, matrix(TensorId::kEmbedding, 0, c.vocab_size, hidden, {}));
    weights_.embedding = embedding.data, weights_.embedding_dtype = embedding.dtype;
    weights_.layers.resize(static_cast<size_t>(c.num_layers));
    for (int i = 0; i < c.num_layers; ++i) RETURN_IF_ERROR(load_layer(i, weights_.layers[static_cast<size_t>(i)]));
    ASSIGN_OR_RETURN(weights_.final_norm, norm(TensorId::kFinalNorm, 0, hidden));
    if (c.tie_word_embeddings) {
      weights_.lm_head.weight = pack(embedding, true);
    } else {
      ASSIGN_OR_RETURN(weights_.lm_head.weight, matrix(TensorId::kLmHead, 0, c.vocab_size, hidden, {.pack = true}));
    }
    progress(total_);
    return std::move(weights_);
  }

 private:
  struct MatrixOptions {
    bool pack = false, interleaved = false;
  };

  Status load_layer(int i, LayerWeights& w) {
    const ModelConfig& c = config_;
    const int64_t hidden = c.hidden_size, q = int64_t{c.num_heads} * c.head_dim,
                  kv = int64_t{c.num_kv_heads} * c.head_dim;
    ASSIGN_OR_RETURN(w.attention_norm, norm(TensorId::kAttentionNorm, i, hidden));
    ASSIGN_OR_RETURN(w.mlp_norm, norm(TensorId::kMlpNorm, i, hidden));
    if (c.post_norms) {
      ASSIGN_OR_RETURN(w.attention_post_norm, norm(TensorId::kAttentionPostNorm, i, hidden));
      ASSIGN_OR_RETURN(w.mlp_post_norm, norm(TensorId::kMlpPostNorm, i, hidden));
    }
    if (c.qk_norm) {
      ASSIGN_OR_RETURN(w.q_norm, norm(TensorId::kQNorm, i, c.head_dim));
      ASSIGN_OR_RETURN(w.k_norm, norm(TensorId::kKNorm, i, c.head_dim));
    }
    ASSIGN_OR_RETURN(w.q, linear(TensorId::kQ, i, q, hidden, c.qkv_bias, c.interleaved_qk));
    ASSIGN_OR_RETURN(w.k, linear(TensorId::kK, i, kv, hidden, c.qkv_bias, c.interleaved_qk));
    ASSIGN_OR_RETURN(w.v, linear(TensorId::kV, i, kv, hidden, c.qkv_bias, false));
    ASSIGN_OR_RETURN(w.o, linear(TensorId::kO, i, hidden, q, c.o_bias, false));
    ASSIGN_OR_RETURN(w.gate, linear(TensorId::kGate, i, c.intermediate_size, hidden, c.mlp_bias, false));
    ASSIGN_OR_RETURN(w.up, linear(TensorId::kUp, i, c.intermediate_size, hidden, c.mlp_bias, false));
    ASSIGN_OR_RETURN(w.down, linear(TensorId::kDown, i, hidden, c.intermediate_size, c.mlp_bias, false));
    return {};
  }

  Result<Linear> linear(TensorId id, int layer, int64_t n, int64_t k, bool bias, bool interleaved) {
    Linear out;
    ASSIGN_OR_RETURN(out.weight, matrix(id, layer, n, k, {.pack = true, .interleaved = interleaved}));
    if (bias) {
      ASSIGN_OR_RETURN(out.bias, vector(names_.name(id, layer, "bias"), n, 0, interleaved));
    }
    return out;
  }

  Result<std::span<const float>> norm(TensorId id, int layer, int64_t n) {
    return vector(names_.name(id, layer, "weight"), n, config_.norm_weight_plus_one && checkpoint_ ? 1 : 0, false, 1);
  }

  // A float32 copy of a vector, `add` added; dummy weights are `dummy` everywhere.
  Result<std::span<const float>> vector(const std::string& name, int64_t n, float add, bool interleaved,
                                        float dummy = 0) {
    float* out = own(static_cast<size_t>(n) * sizeof(float)).as<float>();
    if (!checkpoint_) {
      std::fill_n(out, n, dummy);
    } else {
      ASSIGN_OR_RETURN(const CheckpointTensor* t, find(name, {n}));
      if (!is_plain_float(t->dtype))
        return invalid_argument("tensor {} is {}, expected a plain float type", name, info(t->dtype).name);
      convert_rows(t->data.data(), t->dtype, reinterpret_cast<std::byte*>(out), DType::kFloat32, n, 1, pool_,
                   [&](int64_t r) { return interleaved ? interleaved_row(r, config_.head_dim) : r; });
      for (int64_t i = 0; i < n; ++i) out[i] += add;
    }
    weights_.bytes += static_cast<size_t>(n) * sizeof(float);
    return std::span<const float>(out, static_cast<size_t>(n));
  }

  Result<const CheckpointTensor*> find(const std::string& name, const std::vector<int64_t>& shape) {
    const CheckpointTensor* t = checkpoint_->find(name);
    if (!t) return invalid_argument("tensor {} is missing from the checkpoint", name);
    if (t->shape != shape) {
      return invalid_argument("tensor {} has shape [{}], expected [{}]", name, fmt::join(t->shape, ", "),
                              fmt::join(shape, ", "));
    }
    size_t bytes = row_bytes(t->dtype, shape.back());
    for (size_t i = 0; i + 1 < shape.size(); ++i) bytes *= static_cast<size_t>(shape[i]);
    if (t->data.size() != bytes)
      return invalid_argument("tensor {} has {} bytes, expected {}", name, t->data.size(), bytes);
    progress(t->data.size());
    return t;
  }

  Result<LinearWeight> matrix(TensorId id, int layer, int64_t n, int64_t k, MatrixOptions o) {
    std::string name = names_.name(id, layer, "weight");
    if (!checkpoint_) return dummy(id, layer, n, k);
    const CheckpointTensor* found = checkpoint_->find(name);
    if (found && k % info(found->dtype).block_size != 0) {
      return invalid_argument("tensor {} is {}, whose blocks of {} do not divide {}", name, info(found->dtype).name,
                              info(found->dtype).block_size, k);
    }
    ASSIGN_OR_RETURN(const CheckpointTensor* t, find(name, {n, k}));
    if (!is_plain_float(t->dtype) && !is_quantized(t->dtype)) {
      return invalid_argument("tensor {} is {}, which is no weight type", name, info(t->dtype).name);
    }
    DType dtype = is_quantized(t->dtype) ? t->dtype : options_.dtype;
    LinearWeight w{.data = t->data.data(), .dtype = dtype, .n = n, .k = k};
    weights_.bytes += row_bytes(dtype, k) * static_cast<size_t>(n);
    bool aligned = reinterpret_cast<uintptr_t>(w.data) % 4 == 0 || is_quantized(dtype);
    if (dtype != t->dtype || o.interleaved || !aligned) {
      Buffer& copy = own(row_bytes(dtype, k) * static_cast<size_t>(n));
      convert_rows(t->data.data(), t->dtype, copy.data(), dtype, n, k, pool_,
                   [&](int64_t r) { return o.interleaved ? interleaved_row(r, config_.head_dim) : r; });
      w.data = copy.data();
    }
    return o.pack ? pack(w, w.data != t->data.data() ? false : true) : w;
  }

  // `keep_source`: the unpacked form is mapped or used elsewhere; otherwise it is the newest buffer and goes.
  LinearWeight pack(const LinearWeight& w, bool keep_source) {
    if (!wants_packing(w)) return w;
    PackedWeight packed = pack_linear_weight(w, pool_);
    if (packed.storage.size() == 0) return packed.weight;
    if (!keep_source) weights_.owned.pop_back();
    weights_.owned.push_back(std::move(packed.storage));
    return packed.weight;
  }

  // Uniform numbers whose products keep the size of their input, from the tensor's place alone.
  LinearWeight dummy(TensorId id, int layer, int64_t n, int64_t k) {
    Buffer& out = own(row_bytes(options_.dtype, k) * static_cast<size_t>(n));
    double scale = std::sqrt(3.0 / static_cast<double>(k));
    uint64_t tensor = (static_cast<uint64_t>(layer) * 64 + static_cast<uint64_t>(id) + 1) * 0x9e3779b97f4a7c15ULL;
    pool_.parallel_for(n, [&](int64_t r, int) {
      uint64_t state = tensor ^ (static_cast<uint64_t>(r) << 20);
      for (int64_t i = 0; i < k; ++i) {
        uint64_t z = (state += 0x9e3779b97f4a7c15ULL);  // splitmix64 (Steele et al. 2014)
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL, z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL, z ^= z >> 31;
        auto x = static_cast<float>((static_cast<double>(z >> 11) * 0x1p-52 - 1) * scale);
        std::byte* at =
            out.data() + row_bytes(options_.dtype, k) * static_cast<size_t>(r) + row_bytes(options_.dtype, i);
        convert_row(reinterpret_cast<const std::byte*>(&x), DType::kFloat32, at, options_.dtype, 1);
      }
    });
    weights_.bytes += out.size();
    return {.data = out.data(), .dtype = options_.dtype, .n = n, .k = k};
  }

  Buffer& own(size_t bytes) { return weights_.owned.emplace_back(bytes); }

  void progress(size_t bytes) {
    done_ = std::min(total_, done_ + bytes);
    if (options_.on_progress && total_ > 0)
      options_.on_progress(static_cast<double>(done_) / static_cast<double>(total_));
  }

  const ModelConfig& config_;
  const Checkpoint* checkpoint_;
  const LoadOptions& options_;
  ThreadPool& pool_;
  TensorNames names_;
  DecoderWeights weights_;
  size_t total_ = 0, done_ = 0;
};

// Nothing but the config bounds dummy weights, so a size that cannot be held is an error before the first allocation.
Status check_dummy_memory(const ModelConfig& c, DType dtype) {
  double heads = static_cast<double>(c.num_heads + c.num_kv_heads) * c.head_dim,
         hidden = static_cast<double>(c.hidden_size);
  double layer = 2 * heads * hidden + 3 * hidden * static_cast<double>(c.intermediate_size);
  double elements = c.num_layers * layer + (c.tie_word_embeddings ? 1 : 2) * static_cast<double>(c.vocab_size) * hidden;
  double bytes = 1.1 * elements * info(dtype).block_bytes, available = static_cast<double>(available_memory_bytes());
  if (bytes <= available) return {};
  return error(ErrorCode::kResourceExhausted, "dummy weights need {:.1f} GiB, of {:.1f} GiB available memory",
               bytes / (1 << 30), available / (1 << 30));
}

}  // namespace

Result<DecoderWeights> load_weights(const ModelConfig& config, std::shared_ptr<const Checkpoint> checkpoint,
                                    const LoadOptions& options, ThreadPool& pool) {
  if (!is_plain_float(options.dtype))
    return invalid_argument("dtype {} is not one of float32, float16, bfloat16", info(options.dtype).name);
  if (options.dummy_weights) RETURN_IF_ERROR(check_dummy_memory(config, options.dtype));
  return Loader(config, options.dummy_weights ? nullptr : std::move(checkpoint), options, pool).load();
}

}  // namespace vllm::model
