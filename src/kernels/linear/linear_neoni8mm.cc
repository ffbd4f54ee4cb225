// NEON with products of small matrices (Armv8.6: Neoverse V1, N2 and later), twice the work of a dot product in one
// instruction: 2 rows x 8 k by 8 k x 2 tokens of bytes, 2 rows x 4 k by 4 k x 2 tokens of bfloat16. For that the x of
// two neighbouring tokens lie interleaved; a last token without a neighbour is as it is, and takes dot products.
#include "kernels/linear/linear_backend_neon.h"

namespace vllm::linear {
namespace {

struct NeonI8mm : NeonBase {
  static constexpr int kLeastTokens = 2;

  template <int kBits, int kCount, int N>
  static VLLM_FORCE_INLINE void dot(I (&sum)[N], const I* q, const int8_t* const (&x)[N]) {
    static_assert(N % 2 == 0);
    I rows01[N / 2], rows23[N / 2];  // sums of two rows by two tokens
    VLLM_UNROLL for (int i = 0; i < N / 2; ++i) rows01[i] = rows23[i] = zero_int();
    VLLM_UNROLL for (int j = 0; j < kCount; j += 2) {
      const int8x16_t first = bytes(vzip1q_s32(q[j], q[j + 1])), second = bytes(vzip2q_s32(q[j], q[j + 1]));
      VLLM_UNROLL for (int i = 0; i < N / 2; ++i) {
        const int8x16_t tokens = vld1q_s8(x[2 * i + j / 2 % 2] + j / 4 * 16);
        rows01[i] = vmmlaq_s32(rows01[i], first, tokens), rows23[i] = vmmlaq_s32(rows23[i], second, tokens);
      }
    }
    VLLM_UNROLL for (int i = 0; i < N / 2; ++i) {
      sum[2 * i] = vaddq_s32(sum[2 * i], vuzp1q_s32(rows01[i], rows23[i]));
      sum[2 * i + 1] = vaddq_s32(sum[2 * i + 1], vuzp2q_s32(rows01[i], rows23[i]));
    }
  }
};

// One token of bfloat16. Like the matrix product it rounds after each product and takes denormals for zero, so the last
// bits are not those of the other ISAs; both sum pair after pair, so they agree with each other.
struct NeonBFloat16 : NeonDotProd {
  static constexpr bool kDotBFloat16 = true;
  static F dot_bfloat16(I pairs, I x_pairs, F sum) {
    return vbfdotq_f32(sum, vreinterpretq_bf16_s32(pairs), vreinterpretq_bf16_s32(x_pairs));
  }
};

// T tokens and one panel of bfloat16; x of the first token.
template <int T>
VLLM_FORCE_INLINE void bfloat16_panel(const TileArgs& args, const std::byte* w, int64_t row, const std::byte* x,
                                      float* out) {
  using B = NeonBFloat16;
  B::F sums[T / 2][8];  // two rows by two tokens each
  VLLM_UNROLL for (int i = 0; i < T / 2; ++i) { VLLM_UNROLL for (int r = 0; r < 8; ++r) sums[i][r] = B::zero(); }
  for (int64_t pairs = (args.k + 1) / 2; pairs > 0; pairs -= 2, w += 2 * kVector, x += 16) {
    bfloat16x8_t tokens[T / 2];
    VLLM_UNROLL for (int i = 0; i < T / 2; ++i) tokens[i] = vreinterpretq_bf16_s32(B::load(x + 2 * i * args.x_stride));
    VLLM_UNROLL for (int v = 0; v < 4; ++v) {
      const B::I a = B::load(w + 16 * v), b = pairs > 1 ? B::load(w + kVector + 16 * v) : B::zero_int();
      const bfloat16x8_t first = vreinterpretq_bf16_s32(vzip1q_s32(a, b)),
                         second = vreinterpretq_bf16_s32(vzip2q_s32(a, b));
      VLLM_UNROLL for (int i = 0; i < T / 2; ++i) {
        sums[i][2 * v] = vbfmmlaq_f32(sums[i][2 * v], first, tokens[i]);
        sums[i][2 * v + 1] = vbfmmlaq_f32(sums[i][2 * v + 1], second, tokens[i]);
      }
    }
  }
  VLLM_UNROLL for (int i = 0; i < T / 2; ++i) {
    VLLM_UNROLL for (int v = 0; v < 4; ++v) {
      const int64_t first = row + 4 * v;
      if (first >= args.rows) continue;
      const float* bias = args.bias != nullptr ? args.bias + first : nullptr;
      float* to = out + 2 * i * args.out_stride + first;
      finish<B>(vuzp1q_f32(sums[i][2 * v], sums[i][2 * v + 1]), args.rows - first, bias, args.add_to_out, to);
      finish<B>(vuzp2q_f32(sums[i][2 * v], sums[i][2 * v + 1]), args.rows - first, bias, args.add_to_out,
                to + args.out_stride);
    }
  }
}

// An even number of tokens.
void bfloat16_tile(const TileArgs& args) {
  const std::byte* panel = args.weight;
  for (int64_t row = 0; row < args.rows; row += kPanelRows, panel += panel_bytes(DType::kBFloat16, args.k)) {
    const auto* x = static_cast<const std::byte*>(args.x);
    float* out = args.out;
    int64_t left = args.num_tokens;
    for (; left >= 4; left -= 4, x += 4 * args.x_stride, out += 4 * args.out_stride)
      bfloat16_panel<4>(args, panel, row, x, out);
    if (left > 0) bfloat16_panel<2>(args, panel, row, x, out);
  }
}

void tile(const TileArgs& args) {
  const bool bfloat16 = args.dtype == DType::kBFloat16;
  if (!bfloat16 && !is_quantized(args.dtype)) return neon_dotprod_kernels().tile(args);
  TileArgs even = args, last = args;
  even.num_tokens = args.num_tokens / 2 * 2, last.num_tokens = args.num_tokens % 2;
  if (even.num_tokens > 0) bfloat16 ? bfloat16_tile(even) : tile_of_quantized_type<NeonI8mm>(even);
  if (last.num_tokens == 0) return;
  last.x = static_cast<const std::byte*>(args.x) + even.num_tokens * args.x_stride;
  last.out += even.num_tokens * args.out_stride;
  if (bfloat16) return tile_of_type<NeonBFloat16, DType::kBFloat16>(last);
  neon_dotprod_kernels().tile(last);
}

// 8 bytes of one token, then 8 of the other. Of bfloat16 in the first token's row: x fills half of it.
void interleave_bfloat16(std::byte* even, const std::byte* odd, int64_t k) {
  for (int64_t group = (k + 3) / 4 - 1; group >= 0;
       --group) {  // from the end: nothing is overwritten before it is read
    const auto left = static_cast<size_t>(k - 4 * group);
    const size_t bytes = left < 4 ? 2 * left : 8;
    uint64_t both[2] = {0, 0};
    __builtin_memcpy(&both[0], even + 8 * group, bytes), __builtin_memcpy(&both[1], odd + 8 * group, bytes);
    __builtin_memcpy(even + 16 * group, both, sizeof both);
  }
}
// Of every 16 bytes the first 8 of both tokens go into the first token's row, the last 8 into the second's.
template <int kTerms>
void interleave_blocks(QuantizedBlock<kTerms>* even, QuantizedBlock<kTerms>* odd, int64_t k) {
  for (int64_t b = 0; b < k / kBlock; ++b) {
    for (int term = 0; term < kTerms; ++term) {
      for (int half = 0; half < kBlock; half += 16) {
        int8_t *first = even[b].terms[term] + half, *second = odd[b].terms[term] + half;
        const int64x2_t x = vreinterpretq_s64_s8(vld1q_s8(first)), y = vreinterpretq_s64_s8(vld1q_s8(second));
        vst1q_s8(first, vreinterpretq_s8_s64(vzip1q_s64(x, y)));
        vst1q_s8(second, vreinterpretq_s8_s64(vzip2q_s64(x, y)));
      }
    }
  }
}
void interleave(void* even, void* odd, int64_t k, int x_terms) {
  if (x_terms == 0) return interleave_bfloat16(static_cast<std::byte*>(even), static_cast<const std::byte*>(odd), k);
  if (x_terms == 1) {
    return interleave_blocks(static_cast<QuantizedBlock<1>*>(even), static_cast<QuantizedBlock<1>*>(odd), k);
  }
  interleave_blocks(static_cast<QuantizedBlock<2>*>(even), static_cast<QuantizedBlock<2>*>(odd), k);
}

}  // namespace

const Kernels& neon_i8mm_kernels() {
  static constexpr Kernels kKernels = {.name = "neon_i8mm",
                                       .tile = tile,
                                       .quantize = quantize<NeonI8mm>,
                                       .round_to_bfloat16 = round_to_bfloat16_pairs,
                                       .interleave = interleave};
  return kKernels;
}

}  // namespace vllm::linear
