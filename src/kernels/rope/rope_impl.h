#pragma once
// One token's heads, compiled once per ISA.
#include <cstdint>

namespace vllm {

struct RopeToken {
  float* x;  // [num_heads] heads, head_stride apart
  const float* cos;
  const float* sin;
  int64_t num_heads, head_stride, half;
};
void rope_token_avx2(const RopeToken& r);
void rope_token_avx512(const RopeToken& r);
void rope_token_neon(const RopeToken& r);

template <class V>
inline __attribute__((always_inline)) void rope_token(const RopeToken& r) {
  for (int64_t h = 0; h < r.num_heads; ++h) {
    float* a = r.x + h * r.head_stride;
    float* b = a + r.half;
    for (int64_t i = 0; i < r.half; i += V::kWidth) {
      int64_t n = r.half - i;
      if (n >= V::kWidth) {
        V va = V::load(a + i), vb = V::load(b + i), c = V::load(r.cos + i), s = V::load(r.sin + i);
        (va * c - vb * s).store(a + i);
        (vb * c + va * s).store(b + i);
      } else {
        V va = V::load_n(a + i, n), vb = V::load_n(b + i, n), c = V::load_n(r.cos + i, n), s = V::load_n(r.sin + i, n);
        (va * c - vb * s).store_n(a + i, n);
        (vb * c + va * s).store_n(b + i, n);
      }
    }
  }
}

}  // namespace vllm
