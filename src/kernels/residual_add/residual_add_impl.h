#pragma once
// The row loop, compiled once per ISA.
#include <cstdint>

namespace vllm {

void residual_add_row_avx2(float* x, const float* y, int64_t n, float scale);
void residual_add_row_avx512(float* x, const float* y, int64_t n, float scale);
void residual_add_row_neon(float* x, const float* y, int64_t n, float scale);

template <class V>
inline __attribute__((always_inline)) void residual_add_row(float* x, const float* y, int64_t n, float scale) {
  const V factor = V::set1(scale);
  for (int64_t i = 0; i < n; i += V::kWidth) {
    const int64_t left = n - i;
    if (left >= V::kWidth) {
      fma(factor, V::load(y + i), V::load(x + i)).store(x + i);
    } else {
      fma(factor, V::load_n(y + i, left), V::load_n(x + i, left)).store_n(x + i, left);
    }
  }
}

}  // namespace vllm
