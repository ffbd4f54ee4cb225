#include <cmath>

#include "kernels/layer_norm/layer_norm.h"

namespace vllm {

void layer_norm_ref(const LayerNormParams& p) {
  const int64_t hidden = p.x.size(1), group = p.group > 0 ? p.group : hidden;
  for (int64_t t = 0; t < p.x.size(0); ++t) {
    for (int64_t first = 0; first < hidden; first += group) {
      double sum = 0, squares = 0;
      for (int64_t i = first; i < first + group; ++i) sum += double{p.x(t, i)};
      const double mean = sum / static_cast<double>(group);
      for (int64_t i = first; i < first + group; ++i) {
        const double d = double{p.x(t, i)} - mean;
        squares += d * d;
      }
      const double scale = 1 / std::sqrt(squares / static_cast<double>(group) + double{p.eps});
      for (int64_t i = first; i < first + group; ++i) {
        const auto at = static_cast<size_t>(i);
        const double y = (double{p.x(t, i)} - mean) * scale * double{p.weight[at]};
        p.out(t, i) = static_cast<float>(p.bias.empty() ? y : y + double{p.bias[at]});
      }
    }
  }
}

}  // namespace vllm
