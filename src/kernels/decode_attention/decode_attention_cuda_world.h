#pragma once
// A random decode step on the host and on the device, and its answer in double: for the test and the bench of
// decode_attention_cuda.
#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <vector>

#include "kernels/decode_attention/decode_attention_cuda.h"
#include "kernels/paged_attention/paged_attention_cuda.h"
#include "kernels/qkv_finish/qkv_finish_cuda.h"
#include "tensor/cuda/testing.h"

namespace vllm {

struct DecodeWorldSpec {
  int num_heads, num_kv_heads, head_dim;
  std::vector<int32_t> seq_lens;  // 0 = padding, at the end
  DType dtype = DType::kBFloat16;
  int block_size = 16;
  int rotary_dim = 0;  // 0 = head_dim
  bool norms = true;
  float softcap = 0;
  int64_t window = 0;
  int32_t capacity = 0;  // tokens that every sequence has pages for; 0 = its seq_len
};

inline void put16(std::vector<std::byte>& out, size_t i, double x, DType dtype) {
  if (dtype == DType::kFloat16) reinterpret_cast<Float16*>(out.data())[i] = to_float16(static_cast<float>(x));
  if (dtype == DType::kBFloat16) reinterpret_cast<BFloat16*>(out.data())[i] = to_bfloat16(static_cast<float>(x));
}
inline double get16(const std::vector<std::byte>& in, size_t i, DType dtype) {
  if (dtype == DType::kFloat16) return double{to_float(reinterpret_cast<const Float16*>(in.data())[i])};
  return double{to_float(reinterpret_cast<const BFloat16*>(in.data())[i])};
}
inline double round16(double x, DType dtype) {
  std::vector<std::byte> one(2);
  put16(one, 0, x, dtype);
  return get16(one, 0, dtype);
}

/// Slots without a key are NaN, table entries without a page far out of range: whoever uses one is found.
class DecodeWorld {
 public:
  DecodeWorld(const DecodeWorldSpec& spec, unsigned seed) : spec_(spec), rng_(seed) {
    const size_t seqs = spec.seq_lens.size(), dim = static_cast<size_t>(spec.head_dim);
    half_ = static_cast<size_t>(spec.rotary_dim == 0 ? spec.head_dim : spec.rotary_dim) / 2;
    for (auto* w : {&q_norm_, &k_norm_}) {
      for (size_t i = 0; i < dim; ++i) w->push_back(1 + 0.3f * normal());
    }
    kv_.block_size = spec.block_size, kv_.num_kv_heads = spec.num_kv_heads, kv_.head_dim = spec.head_dim;
    kv_.dtype = spec.dtype, kv_.k_offset = 64, kv_.v_offset = 64 + kv_.area_bytes() + 32;
    kv_.page_bytes = (2 * kv_.area_bytes() + 128 + 15) / 16 * 16;
    for (int32_t n : spec.seq_lens) columns_ = std::max(columns_, blocks_of(n) + 1);
    table_.assign(seqs * static_cast<size_t>(columns_), 0x3fffffff);
    std::vector<int32_t> ids;
    for (int32_t n : spec.seq_lens) {
      for (int64_t b = 0; n > 0 && b < blocks_of(n); ++b) ids.push_back(static_cast<int32_t>(ids.size()) + 1);
    }
    std::shuffle(ids.begin(), ids.end(), rng_);
    kv_.num_blocks = static_cast<int64_t>(ids.size()) + 1;
    pool_.assign(static_cast<size_t>(kv_.num_blocks * kv_.page_bytes), std::byte{0xff});
    size_t next = 0;
    for (size_t s = 0; s < seqs; ++s) {
      const int32_t n = spec.seq_lens[s];
      for (int64_t b = 0; n > 0 && b < blocks_of(n); ++b) {
        const bool released = spec.capacity == 0 && spec.window > 0 && (b + 1) * spec.block_size <= n - spec.window;
        table_[s * static_cast<size_t>(columns_) + static_cast<size_t>(b)] = released ? 0 : ids[next++];
      }
      for (int32_t i = 0; i < n - 1; ++i) {
        if (page(s, i) != 0) fill_token(s, i);
      }
    }
    qkv_stride_ = width() + 8;
    d_pool_.emplace(pool_), d_table_.emplace(table_), d_q_norm_.emplace(q_norm_), d_k_norm_.emplace(k_norm_);
    step(spec.seq_lens);
  }

  const DecodeWorldSpec& spec() const { return spec_; }
  size_t num_seqs() const { return seq_lens_.size(); }
  size_t out_width() const { return static_cast<size_t>(spec_.num_heads) * static_cast<size_t>(spec_.head_dim); }
  size_t out_bytes() const { return num_seqs() * out_width() * 2; }
  size_t pool_bytes() const { return pool_.size(); }
  void* device_pool() const { return d_pool_->data(); }
  void reset_pool() { cudaMemcpy(d_pool_->data(), pool_.data(), pool_.size(), cudaMemcpyHostToDevice); }
  /// What the device's pages hold is what the next step starts from.
  void take_pool() { pool_ = d_pool_->host(); }
  std::vector<std::byte> device_pages() const { return d_pool_->host(); }

  /// A new token for sequences that have this length with it.
  void step(const std::vector<int32_t>& seq_lens) {
    seq_lens_ = seq_lens;
    std::vector<int64_t> slots;
    std::vector<int32_t> query_start = {0};
    std::vector<float> cos, sin;
    qkv_.assign(num_seqs() * qkv_stride_ * 2, std::byte{0xff});
    for (size_t s = 0; s < num_seqs(); ++s) {
      const int32_t n = seq_lens_[s], at = n - 1;
      query_start.push_back(query_start.back() + (n > 0));
      slots.push_back(n > 0 ? page(s, at) * spec_.block_size + at % spec_.block_size : -1);
      for (size_t i = 0; i < half_; ++i) {
        const double angle = std::max(at, 0) * std::pow(1e4, -static_cast<double>(i) / static_cast<double>(half_));
        cos.push_back(static_cast<float>(std::cos(angle))), sin.push_back(static_cast<float>(std::sin(angle)));
      }
      for (size_t i = 0; i < width(); ++i) put16(qkv_, s * qkv_stride_ + i, double{normal()}, spec_.dtype);
    }
    cos_ = cos, sin_ = sin, slots_ = slots;
    put(d_seq_lens_, seq_lens_), put(d_query_start_, query_start), put(d_slots_, slots);
    put(d_cos_, cos), put(d_sin_, sin), put(d_qkv_, qkv_);
    cudaDeviceSynchronize();
  }

  DecodeAttentionParams params(std::byte* out, int blocks, bool ring = false) const {
    DecodeAttentionParams p{
        .num_heads = spec_.num_heads, .num_kv_heads = spec_.num_kv_heads, .head_dim = spec_.head_dim};
    const auto seqs = static_cast<int64_t>(num_seqs());
    p.out = TensorView<void, 2>(out, {seqs, static_cast<int64_t>(out_width())}, spec_.dtype);
    p.qkv = TensorView<const void, 2>(d_qkv_->data(), {seqs, static_cast<int64_t>(width())}, spec_.dtype);
    p.qkv.stride[0] = static_cast<int64_t>(qkv_stride_);
    if (spec_.norms) p.q_norm = d_q_norm_->data(), p.k_norm = d_k_norm_->data();
    p.norm_eps = kEps, p.cos = table_view(d_cos_->data()), p.sin = table_view(d_sin_->data());
    p.kv = kv_, p.kv.base = d_pool_->data(), p.slot_mapping = d_slots_->data();
    p.block_table = TensorView<const int32_t, 2>(d_table_->data(), {seqs, columns_});
    p.seq_lens = d_seq_lens_->data();
    p.scale = scale(), p.softcap = spec_.softcap, p.sliding_window = spec_.window, p.blocks = blocks, p.ring = ring;
    return p;
  }
  /// The same by the two ops that it replaces. Changes qkv on the device.
  Status run_composition(std::byte* out, StreamRef stream) const {
    const DecodeAttentionParams p = params(out, 0);
    QkvFinishParams f{.num_heads = p.num_heads, .num_kv_heads = p.num_kv_heads, .head_dim = p.head_dim};
    f.qkv = TensorView<void, 2>(d_qkv_->data(), p.qkv.shape, spec_.dtype), f.qkv.stride = p.qkv.stride;
    f.q_norm = p.q_norm, f.k_norm = p.k_norm, f.norm_eps = p.norm_eps, f.cos = p.cos, f.sin = p.sin, f.kv = p.kv;
    f.slot_mapping = p.slot_mapping;
    RETURN_IF_ERROR(qkv_finish_cuda(f, stream));
    const int seqs = static_cast<int>(num_seqs());
    AttentionCudaShape shape{p.num_heads,      p.num_kv_heads, p.head_dim, spec_.dtype, spec_.dtype,
                             spec_.block_size, seqs,           seqs,       columns_};
    ASSIGN_OR_RETURN(PagedAttentionCuda attention, PagedAttentionCuda::create(shape));
    AttentionCudaBatch batch{seqs, seqs, d_query_start_->data(), p.seq_lens, p.block_table};
    batch.decode = true;
    RETURN_IF_ERROR(attention.plan(batch, 0, stream));
    const std::array<int64_t, 3> dims = {seqs, p.num_heads, p.head_dim};
    AttentionCudaLayer layer{{out, dims, spec_.dtype}, {d_qkv_->data(), dims, spec_.dtype}};
    layer.q.stride[0] = p.qkv.stride[0], layer.kv = p.kv, layer.scale = p.scale, layer.softcap = p.softcap;
    layer.sliding_window = p.sliding_window;
    RETURN_IF_ERROR(attention.run(layer, 0, stream));
    return cudaStreamSynchronize(static_cast<cudaStream_t>(stream.handle)) == cudaSuccess
               ? Status{}
               : error(ErrorCode::kInternal, "the composition failed");
  }

  struct Answer {
    std::vector<double> out;      // [num_seqs, num_heads * head_dim]
    std::vector<std::byte> pool;  // with the new keys and values
  };
  Answer reference() const {
    Answer a{std::vector<double>(num_seqs() * out_width()), pool_};
    const size_t dim = static_cast<size_t>(spec_.head_dim),
                 group = static_cast<size_t>(spec_.num_heads / spec_.num_kv_heads);
    for (size_t s = 0; s < num_seqs(); ++s) {
      const int32_t n = seq_lens_[s];
      if (n == 0) continue;
      const int32_t first = spec_.window > 0 ? static_cast<int32_t>(std::max<int64_t>(0, n - spec_.window)) : 0;
      for (size_t kv_head = 0; kv_head < static_cast<size_t>(spec_.num_kv_heads); ++kv_head) {
        const size_t k_head = static_cast<size_t>(spec_.num_heads) + kv_head;
        const std::vector<double> k = head(s, k_head, spec_.norms ? &k_norm_ : nullptr, true);
        const std::vector<double> v = head(s, k_head + static_cast<size_t>(spec_.num_kv_heads), nullptr, false);
        for (size_t d = 0; d < dim; ++d) {
          put16(a.pool, element(s, n - 1, kv_head, false) + d, k[d], spec_.dtype);
          put16(a.pool, element(s, n - 1, kv_head, true) + d, v[d], spec_.dtype);
        }
        for (size_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
          const std::vector<double> q = head(s, h, spec_.norms ? &q_norm_ : nullptr, true);
          std::vector<double> scores;
          for (int32_t j = first; j < n; ++j) {
            double dot = 0;
            const size_t at = element(s, j, kv_head, false);
            for (size_t d = 0; d < dim; ++d) dot += q[d] * get16(a.pool, at + d, spec_.dtype);
            dot *= double{scale()};
            scores.push_back(spec_.softcap > 0 ? double{spec_.softcap} * std::tanh(dot / double{spec_.softcap}) : dot);
          }
          const double top = *std::max_element(scores.begin(), scores.end());
          double total = 0;
          for (double& x : scores) total += x = std::exp(x - top);
          for (int32_t j = first; j < n; ++j) {
            const size_t at = element(s, j, kv_head, true);
            for (size_t d = 0; d < dim; ++d) {
              a.out[s * out_width() + h * dim + d] +=
                  scores[static_cast<size_t>(j - first)] / total * get16(a.pool, at + d, spec_.dtype);
            }
          }
        }
      }
    }
    return a;
  }

 private:
  static constexpr float kEps = 1e-5f;
  template <typename T>
  static void put(std::optional<DeviceArray<T>>& array, const std::vector<T>& values) {
    if (!array) array.emplace(values);
    cudaMemcpy(array->data(), values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice);
  }
  float normal() { return normal_(rng_); }
  float scale() const { return 1 / std::sqrt(static_cast<float>(spec_.head_dim)); }
  size_t width() const {
    return static_cast<size_t>(spec_.num_heads + 2 * spec_.num_kv_heads) * static_cast<size_t>(spec_.head_dim);
  }
  int64_t blocks_of(int32_t n) const { return (std::max(n, spec_.capacity) + spec_.block_size - 1) / spec_.block_size; }
  int64_t page(size_t s, int32_t position) const {
    return table_[s * static_cast<size_t>(columns_) + static_cast<size_t>(position / spec_.block_size)];
  }
  TensorView<const float, 2> table_view(const float* data) const {
    return {data, {static_cast<int64_t>(num_seqs()), static_cast<int64_t>(half_)}};
  }
  /// Index, in elements of the pool, of a key or value.
  size_t element(size_t s, int32_t position, size_t kv_head, bool is_v) const {
    const int64_t area = is_v ? kv_.v_offset : kv_.k_offset;
    const int64_t row = static_cast<int64_t>(kv_head) * spec_.block_size + position % spec_.block_size;
    return static_cast<size_t>((page(s, position) * kv_.page_bytes + area) / 2 + row * spec_.head_dim);
  }
  void fill_token(size_t s, int32_t position) {
    for (size_t h = 0; h < static_cast<size_t>(spec_.num_kv_heads); ++h) {
      for (bool is_v : {false, true}) {
        const size_t at = element(s, position, h, is_v);
        for (size_t d = 0; d < static_cast<size_t>(spec_.head_dim); ++d)
          put16(pool_, at + d, double{normal()}, spec_.dtype);
      }
    }
  }
  std::vector<double> head(size_t s, size_t h, const std::vector<float>* norm, bool turns) const {
    const size_t dim = static_cast<size_t>(spec_.head_dim);
    std::vector<double> x(dim);
    double squares = 0;
    for (size_t d = 0; d < dim; ++d) {
      x[d] = get16(qkv_, s * qkv_stride_ + h * dim + d, spec_.dtype);
      squares += x[d] * x[d];
    }
    const double scale = 1 / std::sqrt(squares / static_cast<double>(dim) + double{kEps});
    for (size_t d = 0; norm && d < dim; ++d) x[d] *= scale * double{(*norm)[d]};
    for (size_t i = 0; turns && i < half_; ++i) {
      const double a = x[i], b = x[i + half_], c = double{cos_[s * half_ + i]}, sn = double{sin_[s * half_ + i]};
      x[i] = a * c - b * sn, x[i + half_] = b * c + a * sn;
    }
    for (double& value : x) value = round16(value, spec_.dtype);
    return x;
  }

  DecodeWorldSpec spec_;
  std::mt19937 rng_;
  std::normal_distribution<float> normal_;
  KvLayerView kv_;
  int64_t columns_ = 1;
  size_t half_ = 0, qkv_stride_ = 0;
  std::vector<int32_t> seq_lens_, table_;
  std::vector<int64_t> slots_;
  std::vector<float> q_norm_, k_norm_, cos_, sin_;
  std::vector<std::byte> pool_, qkv_;
  std::optional<DeviceArray<std::byte>> d_pool_, d_qkv_;
  std::optional<DeviceArray<int32_t>> d_seq_lens_, d_query_start_, d_table_;
  std::optional<DeviceArray<int64_t>> d_slots_;
  std::optional<DeviceArray<float>> d_cos_, d_sin_, d_q_norm_, d_k_norm_;
};

}  // namespace vllm
