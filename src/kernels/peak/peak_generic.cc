#include "kernels/peak/peak_loops.h"

namespace vllm::peak {
namespace {

constexpr int kLanes = 32;

int64_t float32(int64_t rounds) {
  float sum[kLanes] = {};
  volatile float factor = 0.5f;
  const float f = factor;
  for (int64_t r = 0; r < rounds; ++r) {
    for (float& s : sum) s = s * f + f;
  }
  float total = 0;
  for (float s : sum) total += s;
  return static_cast<int64_t>(total);
}

}  // namespace

const Loops& generic_loops() {
  static constexpr Loops kLoops = {"generic", {}, {}, {2.0 * kLanes, float32}};
  return kLoops;
}

}  // namespace vllm::peak
