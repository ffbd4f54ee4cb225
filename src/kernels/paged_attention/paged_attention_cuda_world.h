#pragma once
// A random batch with its KV pool, on the host (in the CPU's layout, for the reference) and on the device: for the test
// and the bench of paged_attention_cuda.
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "kernels/kv_layout/kv_float8.h"
#include "kernels/paged_attention/paged_attention.h"
#include "kernels/paged_attention/paged_attention_cases.h"
#include "kernels/paged_attention/paged_attention_cuda.h"
#include "tensor/cuda/testing.h"

namespace vllm {

struct AttentionWorldSpec {
  AttentionCase c;                // c.dtype: of the cache
  DType dtype = DType::kFloat32;  // of q and out
  int padded_seqs = 0;            // sequences of length 0 behind the others
  bool plain = false;
  int32_t capacity = 0;  // tokens that every sequence has KV for; 0 = its seq_len
  bool hopper = true;
};

inline void put_float(std::byte* out, int64_t i, float x, DType dtype) {
  if (dtype == DType::kFloat32) reinterpret_cast<float*>(out)[i] = x;
  if (dtype == DType::kFloat16) reinterpret_cast<Float16*>(out)[i] = to_float16(x);
  if (dtype == DType::kBFloat16) reinterpret_cast<BFloat16*>(out)[i] = to_bfloat16(x);
  if (dtype == kKvFloat8) reinterpret_cast<uint8_t*>(out)[i] = float_to_float8(x);
}
inline float get_float(const std::byte* in, int64_t i, DType dtype) {
  if (dtype == DType::kFloat32) return reinterpret_cast<const float*>(in)[i];
  if (dtype == DType::kFloat16) return to_float(reinterpret_cast<const Float16*>(in)[i]);
  return to_float(reinterpret_cast<const BFloat16*>(in)[i]);
}

/// Slots that hold no key are NaN, table entries that name no page are far out of range: whoever uses one is found.
class AttentionWorld {
 public:
  AttentionWorld(const AttentionWorldSpec& spec, unsigned seed) : spec_(spec), rng_(seed) {
    set_seqs(spec.c.seqs);
    build_pages();
    build_queries();
    d_pool_.emplace(pool_);
    d_q_.emplace(q_);
    d_table_.emplace(table_);
  }
  const AttentionWorldSpec& spec() const { return spec_; }
  int num_tokens() const { return query_start_.back(); }
  int num_seqs() const { return static_cast<int>(seq_lens_.size()); }

  /// Give the sequences other lengths (within what their pages hold, the same number of queries).
  void set_seqs(const std::vector<AttentionCaseSeq>& seqs) {
    query_start_ = {0}, seq_lens_.clear();
    for (const AttentionCaseSeq& s : seqs) {
      query_start_.push_back(query_start_.back() + s.num_queries), seq_lens_.push_back(s.seq_len);
    }
    for (int i = 0; i < spec_.padded_seqs; ++i) query_start_.push_back(query_start_.back()), seq_lens_.push_back(0);
    if (!d_seq_lens_) {
      d_seq_lens_.emplace(seq_lens_), d_query_start_.emplace(query_start_);
    } else {
      cudaMemcpy(d_seq_lens_->data(), seq_lens_.data(), seq_lens_.size() * 4, cudaMemcpyHostToDevice);
      cudaMemcpy(d_query_start_->data(), query_start_.data(), query_start_.size() * 4, cudaMemcpyHostToDevice);
    }
  }

  AttentionCudaShape shape() const {
    AttentionCudaShape s{spec_.c.num_heads, spec_.c.num_kv_heads, spec_.c.head_dim, spec_.dtype, spec_.c.dtype};
    s.block_size = spec_.c.block_size, s.max_seqs = num_seqs(), s.max_tokens = num_tokens();
    s.max_blocks = max_blocks_, s.plain = spec_.plain, s.hopper = spec_.hopper;
    return s;
  }
  AttentionCudaBatch batch(bool decode) const {
    AttentionCudaBatch b{num_seqs(), num_tokens(), d_query_start_->data(), d_seq_lens_->data()};
    b.block_table = TensorView<const int32_t, 2>(d_table_->data(), {num_seqs(), max_blocks_});
    b.decode = decode;
    if (!decode) b.host_query_start = query_start_, b.host_seq_lens = seq_lens_;
    return b;
  }
  AttentionCudaLayer layer(std::byte* out) const {
    std::array<int64_t, 3> dims = {num_tokens(), spec_.c.num_heads, spec_.c.head_dim};
    AttentionCudaLayer l{TensorView<void, 3>(out, dims, spec_.dtype),
                         TensorView<const void, 3>(d_q_->data(), dims, spec_.dtype)};
    l.q.stride[0] = q_stride_;
    l.kv = kv_, l.kv.base = d_pool_->data();
    l.scale = scale_, l.softcap = spec_.c.softcap, l.sliding_window = spec_.c.sliding_window;
    return l;
  }
  size_t out_bytes() const {
    return static_cast<size_t>(num_tokens() * spec_.c.num_heads * spec_.c.head_dim * info(spec_.dtype).block_bytes);
  }

  /// What the output must be, in double: [num_tokens, num_heads, head_dim].
  std::vector<float> reference() const {
    int64_t heads = spec_.c.num_heads, dim = spec_.c.head_dim;
    std::vector<float> q(static_cast<size_t>(num_tokens() * heads * dim)), out(q.size());
    for (int64_t t = 0; t < num_tokens(); ++t) {
      for (int64_t i = 0; i < heads * dim; ++i) {
        q[static_cast<size_t>(t * heads * dim + i)] = get_float(q_.data(), t * q_stride_ + i, spec_.dtype);
      }
    }
    PagedAttentionParams p{TensorView<float, 3>(out.data(), {num_tokens(), heads, dim}),
                           TensorView<const float, 3>(q.data(), {num_tokens(), heads, dim}), cpu_kv_};
    p.kv.base = const_cast<std::byte*>(cpu_pool_.data());
    p.block_table = TensorView<const int32_t, 2>(table_.data(), {num_seqs(), max_blocks_});
    p.query_start = query_start_, p.seq_lens = seq_lens_;
    p.scale = scale_, p.softcap = spec_.c.softcap, p.sliding_window = spec_.c.sliding_window;
    paged_attention_ref(p);
    return out;
  }

 private:
  void build_pages() {
    const AttentionCase& c = spec_.c;
    kv_.block_size = c.block_size, kv_.num_kv_heads = c.num_kv_heads, kv_.head_dim = c.head_dim, kv_.dtype = c.dtype;
    cpu_kv_ = kv_;
    if (c.dtype == kKvFloat8) cpu_kv_.dtype = DType::kFloat32;  // of the rounded values
    for (KvLayerView* kv : {&kv_, &cpu_kv_}) {
      kv->k_offset = 64, kv->v_offset = 64 + kv->area_bytes() + 32;
      kv->page_bytes = (2 * kv->area_bytes() + 128 + 15) / 16 * 16;
    }
    int64_t pages = 0;
    for (int32_t n : seq_lens_) {
      int64_t blocks = (std::max(n, spec_.capacity) + c.block_size - 1) / c.block_size;
      pages += blocks, max_blocks_ = std::max(max_blocks_, blocks + 1);
    }
    std::vector<int32_t> ids(static_cast<size_t>(pages));
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i) + 1;
    std::shuffle(ids.begin(), ids.end(), rng_);
    kv_.num_blocks = cpu_kv_.num_blocks = pages + 1;
    pool_.assign(static_cast<size_t>(kv_.num_blocks * kv_.page_bytes), std::byte{0xff});
    cpu_pool_.assign(static_cast<size_t>(cpu_kv_.num_blocks * cpu_kv_.page_bytes), std::byte{0xff});
    table_.assign(static_cast<size_t>(num_seqs() * max_blocks_), 0x3fffffff);
    std::normal_distribution<float> normal;
    size_t next = 0;
    for (int s = 0; s < num_seqs(); ++s) {
      int32_t held =
          seq_lens_[static_cast<size_t>(s)] == 0 ? 0 : std::max(seq_lens_[static_cast<size_t>(s)], spec_.capacity);
      int32_t queries = query_start_[static_cast<size_t>(s) + 1] - query_start_[static_cast<size_t>(s)];
      int64_t seen = c.sliding_window > 0 && spec_.capacity == 0 ? held - queries - c.sliding_window + 1 : 0;
      for (int32_t begin = 0; begin < held; begin += c.block_size) {
        int32_t& entry = table_[static_cast<size_t>(s * max_blocks_ + begin / c.block_size)];
        entry = 0;
        if (begin + c.block_size <= seen) continue;  // released: below every query's window
        entry = ids[next++];
        for (int32_t i = 0; i < std::min(c.block_size, held - begin); ++i) write_token(entry, i, normal);
      }
    }
  }
  void write_token(int64_t page, int64_t i, std::normal_distribution<float>& normal) {
    const AttentionCase& c = spec_.c;
    KvLayerView gpu = kv_, cpu = cpu_kv_;
    gpu.base = pool_.data(), cpu.base = cpu_pool_.data();
    for (int h = 0; h < c.num_kv_heads; ++h) {
      for (int d = 0; d < c.head_dim; ++d) {
        float k = normal(rng_), v = normal(rng_);
        if (c.dtype == kKvFloat8) k = float8_to_float(float_to_float8(k)), v = float8_to_float(float_to_float8(v));
        put_float(gpu.k_head(page, h), i * c.head_dim + d, k, c.dtype);
        put_float(gpu.v_head(page, h), i * c.head_dim + d, v, c.dtype);
        put_float(cpu.k_head(page, h), d * c.block_size + i, k, cpu.dtype);
        put_float(cpu.v_head(page, h), i * c.head_dim + d, v, cpu.dtype);
      }
    }
  }
  void build_queries() {
    int64_t width = int64_t{spec_.c.num_heads} * spec_.c.head_dim;
    q_stride_ = width + 2 * int64_t{spec_.c.num_kv_heads} * spec_.c.head_dim;  // as inside a row of qkv
    scale_ = 1 / std::sqrt(static_cast<float>(spec_.c.head_dim));
    q_.assign(static_cast<size_t>(num_tokens() * q_stride_ * info(spec_.dtype).block_bytes), std::byte{0xff});
    std::normal_distribution<float> normal(0, 1.5f);
    for (int64_t t = 0; t < num_tokens(); ++t) {
      for (int64_t i = 0; i < width; ++i) put_float(q_.data(), t * q_stride_ + i, normal(rng_), spec_.dtype);
    }
  }

  AttentionWorldSpec spec_;
  std::mt19937 rng_;
  KvLayerView kv_, cpu_kv_;
  float scale_ = 1;
  int64_t max_blocks_ = 1, q_stride_ = 0;
  std::vector<int32_t> query_start_, seq_lens_, table_;
  std::vector<std::byte> pool_, cpu_pool_, q_;
  std::optional<DeviceArray<std::byte>> d_pool_, d_q_;
  std::optional<DeviceArray<int32_t>> d_seq_lens_, d_query_start_, d_table_;
};

}  // namespace vllm
