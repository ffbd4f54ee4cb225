#pragma once
// One run of columns that is normalized together, compiled once per ISA.
#include <cstdint>

namespace vllm {

struct LayerNormRun {
  float* out;
  const float* x;
  const float* weight;
  const float* bias;  // or nullptr
  int64_t width;
  float eps;
};
void layer_norm_run_avx2(const LayerNormRun& r);
void layer_norm_run_avx512(const LayerNormRun& r);
void layer_norm_run_neon(const LayerNormRun& r);

/// The sum of x - mean or of its square.
template <class V, bool kSquare>
inline __attribute__((always_inline)) float layer_norm_sum(const LayerNormRun& r, float mean) {
  constexpr int64_t kW = V::kWidth;
  const V center = V::set1(mean);
  V sum[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
  int64_t i = 0;
  for (; i + 4 * kW <= r.width; i += 4 * kW) {
    for (int s = 0; s < 4; ++s) {
      V d = V::load(r.x + i + s * kW) - center;
      sum[s] = kSquare ? fma(d, d, sum[s]) : sum[s] + d;
    }
  }
  for (; i + kW <= r.width; i += kW) {
    V d = V::load(r.x + i) - center;
    sum[0] = kSquare ? fma(d, d, sum[0]) : sum[0] + d;
  }
  float tail = 0;
  for (; i < r.width; ++i) {
    float d = r.x[i] - mean;
    tail += kSquare ? d * d : d;
  }
  return reduce_add((sum[0] + sum[1]) + (sum[2] + sum[3])) + tail;
}

template <class V>
inline __attribute__((always_inline)) void layer_norm_run(const LayerNormRun& r) {
  constexpr int64_t kW = V::kWidth;
  const auto width = static_cast<float>(r.width);
  const float mean = layer_norm_sum<V, false>(r, 0.0f) / width;
  const float variance = layer_norm_sum<V, true>(r, mean) / width;
  const V center = V::set1(mean), scale = V::set1(1.0f / __builtin_sqrtf(variance + r.eps));
  for (int64_t i = 0; i < r.width; i += kW) {
    const int64_t n = r.width - i;
    if (n >= kW) {
      V y = (V::load(r.x + i) - center) * scale * V::load(r.weight + i);
      (r.bias ? y + V::load(r.bias + i) : y).store(r.out + i);
    } else {
      V y = (V::load_n(r.x + i, n) - center) * scale * V::load_n(r.weight + i, n);
      (r.bias ? y + V::load_n(r.bias + i, n) : y).store_n(r.out + i, n);
    }
  }
}

}  // namespace vllm
