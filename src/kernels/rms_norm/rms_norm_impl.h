#pragma once
// The row loop, compiled once per ISA.
#include <cstdint>

namespace vllm {

struct RmsNormRow {
  float* out;
  const float* x;
  float* residual;  // or nullptr
  const float* weight;
  int64_t hidden;
  float eps;
};
void rms_norm_row_avx2(const RmsNormRow& r);
void rms_norm_row_avx512(const RmsNormRow& r);
void rms_norm_row_neon(const RmsNormRow& r);

template <class V>
inline __attribute__((always_inline)) void rms_norm_row(const RmsNormRow& r) {
  constexpr int64_t kW = V::kWidth;
  const float* x = r.x;
  if (r.residual) {
    int64_t i = 0;
    for (; i + kW <= r.hidden; i += kW) (V::load(r.residual + i) + V::load(x + i)).store(r.residual + i);
    if (i < r.hidden) {
      (V::load_n(r.residual + i, r.hidden - i) + V::load_n(x + i, r.hidden - i)).store_n(r.residual + i, r.hidden - i);
    }
    x = r.residual;
  }
  V sum[4] = {V::zero(), V::zero(), V::zero(), V::zero()};
  int64_t i = 0;
  for (; i + 4 * kW <= r.hidden; i += 4 * kW) {
    for (int s = 0; s < 4; ++s) {
      V v = V::load(x + i + s * kW);
      sum[s] = fma(v, v, sum[s]);
    }
  }
  for (; i + kW <= r.hidden; i += kW) {
    V v = V::load(x + i);
    sum[0] = fma(v, v, sum[0]);
  }
  if (i < r.hidden) {
    V v = V::load_n(x + i, r.hidden - i);
    sum[1] = fma(v, v, sum[1]);
  }
  float mean = reduce_add((sum[0] + sum[1]) + (sum[2] + sum[3])) / static_cast<float>(r.hidden);
  V scale = V::set1(1.0f / __builtin_sqrtf(mean + r.eps));
  for (i = 0; i + kW <= r.hidden; i += kW) (V::load(x + i) * scale * V::load(r.weight + i)).store(r.out + i);
  if (i < r.hidden) {
    int64_t n = r.hidden - i;
    (V::load_n(x + i, n) * scale * V::load_n(r.weight + i, n)).store_n(r.out + i, n);
  }
}

}  // namespace vllm
