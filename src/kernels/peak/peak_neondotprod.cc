#include "kernels/peak/peak_neon_int8.h"

namespace vllm::peak {
namespace {

int64_t int8(int64_t rounds) {
  return int8_loop(rounds, [](int32x4_t sum, int8x16_t a, int8x16_t b) { return vdotq_s32(sum, a, b); });
}

}  // namespace

const Loops& neon_dotprod_loops() {
  static constexpr Loops kLoops = {"neon_dotprod", {32.0 * kSums, int8}, {}, {}};
  return kLoops;
}

}  // namespace vllm::peak
