#pragma once
// The row loop, compiled once per ISA. gelu with erf is not vectorized (no model of ours is fast or slow by it): see
// activation_cpu.cc.
#include <cstdint>

#include "kernels/simd/vec_math.h"

namespace vllm {

struct ActivationRow {
  float* out;
  const float* gate;
  const float* up;
  int64_t width;
};
void silu_row_avx2(const ActivationRow& r);
void silu_row_avx512(const ActivationRow& r);
void gelu_tanh_row_avx2(const ActivationRow& r);
void gelu_tanh_row_avx512(const ActivationRow& r);

struct Silu {
  template <class V>
  static inline __attribute__((always_inline)) V apply(V x) {
    return x / (V::set1(1.0f) + vec_exp(V::zero() - x));
  }
};
struct GeluTanh {
  template <class V>
  static inline __attribute__((always_inline)) V apply(V x) {
    V inner = V::set1(0.7978845608028654f) * fma(V::set1(0.044715f) * x * x, x, x);
    return V::set1(0.5f) * x * (V::set1(1.0f) + vec_tanh(inner));
  }
};

template <class V, class F>
inline __attribute__((always_inline)) void activation_row(const ActivationRow& r) {
  int64_t i = 0;
  for (; i + V::kWidth <= r.width; i += V::kWidth) {
    (F::template apply<V>(V::load(r.gate + i)) * V::load(r.up + i)).store(r.out + i);
  }
  if (i < r.width) {
    int64_t n = r.width - i;
    (F::template apply<V>(V::load_n(r.gate + i, n)) * V::load_n(r.up + i, n)).store_n(r.out + i, n);
  }
}

}  // namespace vllm
