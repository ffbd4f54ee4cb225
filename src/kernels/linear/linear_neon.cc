// NEON without the dot product of bytes (Cortex-A53, A72): products of 16 bits, summed in pairs.
#include "kernels/linear/linear_backend_neon.h"

namespace vllm::linear {
namespace {

struct Neon : NeonBase {
  static constexpr int kTokens = 4, kRowSums = 4, kChains = 1;  // a chain is several sums here

  template <int kBits, int kCount, int N>
  static VLLM_FORCE_INLINE void dot(I (&sum)[N], const I* q, const int8_t* const (&x)[N]) {
    VLLM_UNROLL for (int i = 0; i < N; ++i) {
      VLLM_UNROLL for (int j = 0; j < kCount; j += 4) sum[i] = four<kBits>(sum[i], q + j, vld1q_s8(x[i] + 4 * j));
    }
  }
  // Vectors 0 to 3 of 4 bytes a row times the 16 of x. As many products are added in 16 bits as fit: 31 * 127 * 4,
  // 63 * 127 * 4 and 128 * 127 * 2 are below 2^15.
  template <int kBits>
  static VLLM_FORCE_INLINE I four(I sum, const I* q, int8x16_t x) {
    const I x32 = vreinterpretq_s32_s8(x);
    const int8x8_t x0 = vreinterpret_s8_s32(vdup_laneq_s32(x32, 0)), x1 = vreinterpret_s8_s32(vdup_laneq_s32(x32, 1)),
                   x2 = vreinterpret_s8_s32(vdup_laneq_s32(x32, 2)), x3 = vreinterpret_s8_s32(vdup_laneq_s32(x32, 3));
    int16x8_t low = vmull_s8(vget_low_s8(bytes(q[0])), x0), high = vmull_s8(vget_high_s8(bytes(q[0])), x0);
    low = vmlal_s8(low, vget_low_s8(bytes(q[1])), x1), high = vmlal_s8(high, vget_high_s8(bytes(q[1])), x1);
    I low_pairs, high_pairs;
    if constexpr (kBits == 8) {
      low_pairs = vpaddlq_s16(low), high_pairs = vpaddlq_s16(high);
      low = vmull_s8(vget_low_s8(bytes(q[2])), x2), high = vmull_s8(vget_high_s8(bytes(q[2])), x2);
    } else {
      low = vmlal_s8(low, vget_low_s8(bytes(q[2])), x2), high = vmlal_s8(high, vget_high_s8(bytes(q[2])), x2);
    }
    low = vmlal_s8(low, vget_low_s8(bytes(q[3])), x3), high = vmlal_s8(high, vget_high_s8(bytes(q[3])), x3);
    if constexpr (kBits == 8) {
      low_pairs = vpadalq_s16(low_pairs, low), high_pairs = vpadalq_s16(high_pairs, high);
    } else {
      low_pairs = vpaddlq_s16(low), high_pairs = vpaddlq_s16(high);
    }
    return vaddq_s32(sum, vpaddq_s32(low_pairs, high_pairs));
  }
};

}  // namespace

const Kernels& neon_kernels() {
  static constexpr Kernels kKernels = {"neon", tile_of_any_type<Neon>, quantize<Neon>, round_to_bfloat16<Neon>};
  return kKernels;
}

}  // namespace vllm::linear
