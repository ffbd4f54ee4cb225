#include <cmath>

#include "kernels/activation/activation.h"

namespace vllm {
namespace {

double activate(double x, ActivationKind kind) {
  switch (kind) {
    case ActivationKind::kSilu: return x / (1 + std::exp(-x));
    case ActivationKind::kGeluTanh: return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case ActivationKind::kRelu: return x > 0 || std::isnan(x) ? x : 0;
    case ActivationKind::kGelu: return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
  }
  return x;
}

}  // namespace

void activation_ref(const ActivationParams& p) {
  for (int64_t t = 0; t < p.gate.size(0); ++t) {
    for (int64_t i = 0; i < p.gate.size(1); ++i) {
      p.out(t, i) =
          static_cast<float>(activate(double{p.gate(t, i)}, p.kind) * (p.up.empty() ? 1 : double{p.up(t, i)}));
    }
  }
}

}  // namespace vllm
