#include <cmath>

#include "kernels/rms_norm/rms_norm.h"

namespace vllm {

void rms_norm_ref(const RmsNormParams& p) {
  int64_t hidden = p.x.size(1);
  for (int64_t t = 0; t < p.x.size(0); ++t) {
    double sum = 0;
    for (int64_t i = 0; i < hidden; ++i) {
      float x = p.x(t, i);
      if (!p.residual.empty()) x = p.residual(t, i) += x;
      sum += double{x} * double{x};
    }
    double scale = 1 / std::sqrt(sum / static_cast<double>(hidden) + double{p.eps});
    for (int64_t i = 0; i < hidden; ++i) {
      double x = p.residual.empty() ? p.x(t, i) : p.residual(t, i);
      p.out(t, i) = static_cast<float>(x * scale * double{p.weight[static_cast<size_t>(i)]});
    }
  }
}

}  // namespace vllm
