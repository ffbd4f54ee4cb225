#include "kernels/rope/rope.h"

namespace vllm {

void rope_ref(const RopeParams& p) {
  int64_t half = p.cos.size(1);
  for (int64_t t = 0; t < p.x.size(0); ++t) {
    for (int64_t h = 0; h < p.x.size(1); ++h) {
      for (int64_t i = 0; i < half; ++i) {
        double a = p.x(t, h, i), b = p.x(t, h, i + half), c = p.cos(t, i), s = p.sin(t, i);
        p.x(t, h, i) = static_cast<float>(a * c - b * s);
        p.x(t, h, i + half) = static_cast<float>(b * c + a * s);
      }
    }
  }
}

}  // namespace vllm
