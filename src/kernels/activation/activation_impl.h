#pragma once
// The row loop, compiled once per ISA.
#include <cstdint>

#include "kernels/simd/vec_math.h"

namespace vllm {

struct ActivationRow {
  float* out;
  const float* gate;
  const float* up;  // or nullptr: the activation alone
  int64_t width;
};
using ActivationRowFn = void (*)(const ActivationRow&);
/// The row loops of one ISA, in the order of ActivationKind.
struct ActivationRows {
  ActivationRowFn silu, gelu_tanh, gelu, relu;
};
ActivationRows activation_rows_avx2();
ActivationRows activation_rows_avx512();
ActivationRows activation_rows_neon();

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

// x/2 (1 + erf(z)), z = x / sqrt 2, is max(x, 0) - |x|/2 erfc(|z|); erfc by formula 7.1.26 of Abramowitz & Stegun 1964,
// whose absolute error is 1.5e-7.
struct Gelu {
  template <class V>
  static inline __attribute__((always_inline)) V apply(V x) {
    V size = max(V::zero() - x, x), z = size * V::set1(0.70710678118654752f);
    V t = V::set1(1.0f) / fma(V::set1(0.3275911f), z, V::set1(1.0f));
    V p = V::set1(1.061405429f);
    p = fma(p, t, V::set1(-1.453152027f));
    p = fma(p, t, V::set1(1.421413741f));
    p = fma(p, t, V::set1(-0.284496736f));
    p = fma(p, t, V::set1(0.254829592f));
    V erfc = p * t * vec_exp(V::zero() - z * z);
    return max(V::zero(), x) - V::set1(0.5f) * min(V::set1(1000.0f), size) * erfc;  // bounded: inf * 0 is NaN
  }
};
struct Relu {
  template <class V>
  static inline __attribute__((always_inline)) V apply(V x) {
    return max(V::zero(), x);
  }
};

template <class V, class F>
inline __attribute__((always_inline)) void activation_row(const ActivationRow& r) {
  for (int64_t i = 0; i < r.width; i += V::kWidth) {
    const int64_t n = r.width - i;
    if (n >= V::kWidth) {
      V y = F::template apply<V>(V::load(r.gate + i));
      (r.up ? y * V::load(r.up + i) : y).store(r.out + i);
    } else {
      V y = F::template apply<V>(V::load_n(r.gate + i, n));
      (r.up ? y * V::load_n(r.up + i, n) : y).store_n(r.out + i, n);
    }
  }
}

}  // namespace vllm
