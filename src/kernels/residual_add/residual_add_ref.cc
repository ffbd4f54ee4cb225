#include "kernels/residual_add/residual_add.h"

namespace vllm {

void residual_add_ref(const ResidualAddParams& p) {
  for (int64_t t = 0; t < p.x.size(0); ++t) {
    for (int64_t i = 0; i < p.x.size(1); ++i) {
      p.x(t, i) = static_cast<float>(double{p.x(t, i)} + double{p.scale} * double{p.y(t, i)});
    }
  }
}

}  // namespace vllm
