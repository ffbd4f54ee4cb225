#pragma once
// The loops of every ISA, over a backend B that has its vectors. Included only by the file of each ISA, whose backend
// lies in an unnamed namespace: so every instantiation stays in that file and none compiled for a newer CPU can be
// linked into the code of another. For the same reason nothing of the standard library is used here.
//
// B has: kLanes rows a vector; F (floats) and I (kLanes * 4 bytes, or kLanes int32) with load, bcast, mul, fma, fnma
// (c - a * b), mul_add (fused where that is fast), dot and so on; kTokens and kPlainTokens, how many tokens share one
// pass over the weight; kSignedBytes: dot takes 8-bit quants as signed, without their offset; kDotBFloat16: it
// multiplies pairs of bfloat16 as they are (x too); kChains: how many sums of dot run side by side; kRowSums: how many
// sums of few tokens share one pass over a panel, if its rows are several vectors; kLeastTokens of a tile.
#include "kernels/linear/linear_compact_sum.h"
#include "kernels/linear/linear_layout.h"
#include "kernels/simd/unroll.h"

namespace vllm::linear {

// The 32 quants of kLanes rows as bytes, q[j] holding k = 4j .. 4j + 3 of each row.
template <class B, int kBits>
VLLM_FORCE_INLINE void load_quants(const std::byte* w, typename B::I (&q)[8]) {
  if constexpr (kBits == 8) {
    VLLM_UNROLL for (int j = 0; j < 8; ++j) q[j] = B::load_bytes8(w + j * kVector);
  } else {
    const auto low = B::set_bytes(0x0f);
    VLLM_UNROLL for (int j = 0; j < 4; ++j) {
      const auto v = B::load(w + j * kVector);
      q[j] = B::bit_and(v, low);
      q[j + 4] = B::bit_and(B::template shift<-4>(v), low);
    }
    if constexpr (kBits == 5) {
      const auto v = B::load(w + 4 * kVector), mask = B::set_bytes(0x10);
      q[0] = B::or_and(q[0], B::template shift<4>(v), mask), q[1] = B::or_and(q[1], B::template shift<3>(v), mask);
      q[2] = B::or_and(q[2], B::template shift<2>(v), mask), q[3] = B::or_and(q[3], B::template shift<1>(v), mask);
      q[4] = B::or_and(q[4], v, mask), q[5] = B::or_and(q[5], B::template shift<-1>(v), mask);
      q[6] = B::or_and(q[6], B::template shift<-2>(v), mask), q[7] = B::or_and(q[7], B::template shift<-3>(v), mask);
    } else if constexpr (kBits == 6) {
      const auto mask = B::set_bytes(0x30);
      VLLM_UNROLL for (int i = 0; i < 2; ++i) {
        const auto v = B::load(w + (4 + i) * kVector);
        q[4 * i] = B::or_and(q[4 * i], B::template shift<4>(v), mask);
        q[4 * i + 1] = B::or_and(q[4 * i + 1], B::template shift<2>(v), mask);
        q[4 * i + 2] = B::or_and(q[4 * i + 2], v, mask);
        q[4 * i + 3] = B::or_and(q[4 * i + 3], B::template shift<-2>(v), mask);
      }
    }
  }
}

// sum[i] += over kCount vectors, from vector kFirst on, of bytes times the integers of x[i], for N tokens whose chains
// of additions run side by side. Those of the two terms are apart until the end.
template <class B, int kBits, int kFirst, int kCount, int kTerms, int N>
VLLM_FORCE_INLINE void dot_terms(typename B::I (&sum)[N], const typename B::I (&q)[8],
                                 const QuantizedBlock<kTerms>* const (&x)[N]) {
  if constexpr (kTerms == 1) {
    const int8_t* values[N];
    VLLM_UNROLL for (int i = 0; i < N; ++i) values[i] = x[i]->terms[0] + 4 * kFirst;
    B::template dot<kBits, kCount, N>(sum, q + kFirst, values);
  } else {
    const int8_t* values[2 * N];
    typename B::I both[2 * N];
    VLLM_UNROLL for (int i = 0; i < N; ++i) {
      both[i] = sum[i], both[N + i] = B::zero_int();
      values[i] = x[i]->terms[1] + 4 * kFirst, values[N + i] = x[i]->terms[0] + 4 * kFirst;
    }
    B::template dot<kBits, kCount, 2 * N>(both, q + kFirst, values);
    static_assert(kTermRatio == (1 << 8) - (1 << 1));
    VLLM_UNROLL for (int i = 0; i < N; ++i) {
      const auto first = both[N + i];
      sum[i] = B::add_int(both[i], B::sub_int(B::template shift_int<8>(first), B::template shift_int<1>(first)));
    }
  }
}

// acc[i] += the sum over one block, for the N tokens whose blocks are given.
template <class B, DType D, int kTerms, int N, int kFirst, int T>
VLLM_FORCE_INLINE void block_of_tokens(const typename B::I (&q)[8], const typename B::F (&scale)[2],
                                       const typename B::F (&min)[2], const QuantizedBlock<kTerms>* const (&x)[N],
                                       typename B::F (&acc)[T]) {
  constexpr QuantLayout kLayout = quant_layout(D);
  constexpr bool kOffset = kLayout.offset >= 0 && !(B::kSignedBytes && kLayout.bits == 8);
  typename B::I low[N], high[N];
  typename B::I neg_low[N], neg_high[N];
  VLLM_UNROLL for (int i = 0; i < N; ++i) {
    low[i] = high[i] = B::zero_int();
    if constexpr (kLayout.groups == 1) {
      if constexpr (kOffset) low[i] = B::template shift_int<kLayout.offset>(B::bcast(&x[i]->neg_sum));
    } else {
      neg_low[i] = B::bcast(&x[i]->neg_sum_low), neg_high[i] = B::sub_int(B::bcast(&x[i]->neg_sum), neg_low[i]);
      if constexpr (kOffset) {
        low[i] = B::template shift_int<kLayout.offset>(neg_low[i]);
        high[i] = B::template shift_int<kLayout.offset>(neg_high[i]);
      }
    }
  }
  if constexpr (kLayout.groups == 1) {
    dot_terms<B, kLayout.bits, 0, 8, kTerms, N>(low, q, x);
    VLLM_UNROLL for (int i = 0; i < N; ++i) {
      auto& sum = acc[kFirst + i];
      sum = B::fma(B::mul(B::to_float(low[i]), scale[0]), B::bcast(&x[i]->scale), sum);
      if constexpr (kLayout.has_min) sum = B::fnma(min[0], B::bcast(&x[i]->scaled_sum), sum);
    }
  } else {
    dot_terms<B, kLayout.bits, 0, 4, kTerms, N>(low, q, x);
    dot_terms<B, kLayout.bits, 4, 4, kTerms, N>(high, q, x);
    VLLM_UNROLL for (int i = 0; i < N; ++i) {
      auto sum = B::mul(B::to_float(low[i]), scale[0]);
      sum = B::fma(B::to_float(high[i]), scale[1], sum);
      if constexpr (kLayout.has_min) {
        sum = B::fma(min[0], B::to_float(neg_low[i]), sum);
        sum = B::fma(min[1], B::to_float(neg_high[i]), sum);
      }
      acc[kFirst + i] = B::fma(sum, B::bcast(&x[i]->scale), acc[kFirst + i]);
    }
  }
}

// acc[t] += the sum over one block, for tokens [kFirst, T).
template <class B, DType D, int T, int kTerms, int kFirst = 0>
VLLM_FORCE_INLINE void quantized_block(const typename B::I (&q)[8], const typename B::F (&scale)[2],
                                       const typename B::F (&min)[2], const std::byte* x, int64_t x_stride,
                                       typename B::F (&acc)[T]) {
  constexpr int kTogether = B::kChains / kTerms < T - kFirst ? B::kChains / kTerms : T - kFirst;
  constexpr int N = kTogether < 1 ? 1 : kTogether;
  const QuantizedBlock<kTerms>* blocks[N];
  VLLM_UNROLL for (int i = 0; i < N; ++i) {
    blocks[i] = reinterpret_cast<const QuantizedBlock<kTerms>*>(x + (kFirst + i) * x_stride);
  }
  block_of_tokens<B, D, kTerms, N, kFirst, T>(q, scale, min, blocks, acc);
  if constexpr (kFirst + N < T) quantized_block<B, D, T, kTerms, kFirst + N>(q, scale, min, x, x_stride, acc);
}

// How far in front of its use a weight is asked for while several tokens share it. The CPU's own prefetching keeps up
// with one or two tokens, whose loads follow each other closely; with more, few lines are in the window of instructions
// and computing and waiting for memory would add up (Zen 4, Q6_K, 4 tokens in two terms: 8.5 GB/s, with this 14).
inline constexpr int kAheadBytes = 4096;
inline constexpr int kAheadTokens = 4;

VLLM_FORCE_INLINE void prefetch(const std::byte* p, int bytes) {
  VLLM_UNROLL for (int i = 0; i < bytes; i += kVector) __builtin_prefetch(p + i);
}

// acc[v][t] = the sum over all k, for T tokens and V vectors of kLanes rows of a panel, from row `row` on.
template <class B, DType D, int T, int kTerms, int V>
VLLM_FORCE_INLINE void quantized_sum(const std::byte* w, int64_t k, const std::byte* x, int64_t x_stride, int row,
                                     typename B::F (&acc)[V][T]) {
  constexpr QuantLayout kLayout = quant_layout(D);
  VLLM_UNROLL for (int v = 0; v < V; ++v) { VLLM_UNROLL for (int t = 0; t < T; ++t) acc[v][t] = B::zero(); }
  for (int64_t units = k / (kBlock * kLayout.blocks_per_unit()); units > 0; --units) {
    typename B::F d[V]{}, dmin[V]{};
    if constexpr (kLayout.super) {
      VLLM_UNROLL for (int v = 0; v < V; ++v) {
        const int lane = row + v * B::kLanes;
        d[v] = B::load_half(w + 2 * lane);
        if constexpr (kLayout.has_min) dmin[v] = B::load_half(w + 2 * (kPanelRows + lane));
      }
      w += kLayout.header_bytes();
    }
    for (int b = 0; b < kLayout.blocks_per_unit();
         ++b, w += kLayout.block_bytes(), x += sizeof(QuantizedBlock<kTerms>)) {
      const std::byte *scales = w + kLayout.quant_bytes(), *mins = scales + kLayout.scale_bytes();
      if (T >= kAheadTokens && row == 0) prefetch(w + kAheadBytes, kLayout.block_bytes());
      VLLM_UNROLL for (int v = 0; v < V; ++v) {
        const int lane = row + v * B::kLanes;
        typename B::I q[8];
        typename B::F scale[2]{}, min[2]{};
        load_quants<B, kLayout.bits>(w + 4 * lane, q);
        VLLM_UNROLL for (int g = 0; g < kLayout.groups; ++g) {
          if constexpr (kLayout.super) {
            scale[g] = B::mul(d[v], B::load_int8(scales + g * kPanelRows + lane));
            if constexpr (kLayout.has_min)
              min[g] = B::mul(dmin[v], B::load_int8(mins + g * kPanelRows + lane));  // < 64
          } else {
            scale[g] = B::load_half(scales + 2 * lane);
            if constexpr (kLayout.has_min) min[g] = B::load_half(mins + 2 * lane);
          }
        }
        quantized_block<B, D, T, kTerms>(q, scale, min, x, x_stride, acc[v]);
      }
    }
  }
}

// acc[t][v] = the sum over all k, for T tokens and kPanels panels of kLanes-row vectors v; plain weights.
template <class B, DType D, int T, int kPanels>
VLLM_FORCE_INLINE void plain_sum(const std::byte* w, size_t panel_bytes, int64_t k, const std::byte* x,
                                 int64_t x_stride, typename B::F (&acc)[T][kPanels * kPanelRows / B::kLanes]) {
  constexpr int kPerPanel = kPanelRows / B::kLanes, kVectors = kPanels * kPerPanel;
  constexpr int kTogether = D == DType::kBFloat16 ? 2 : 1, kElementBytes = D == DType::kFloat32 ? 4 : 2;
  constexpr bool kDot = D == DType::kBFloat16 && B::kDotBFloat16;
  VLLM_UNROLL for (int t = 0; t < T; ++t) { VLLM_UNROLL for (int v = 0; v < kVectors; ++v) acc[t][v] = B::zero(); }
  for (int64_t steps = (k + kTogether - 1) / kTogether; steps > 0; --steps) {
    [[maybe_unused]] typename B::F weight[kTogether][kVectors];
    [[maybe_unused]] typename B::I weight_pairs[kVectors];
    VLLM_UNROLL for (int v = 0; v < kVectors; ++v) {
      const std::byte* place =
          w + static_cast<size_t>(v / kPerPanel) * panel_bytes + v % kPerPanel * B::kLanes * kTogether * kElementBytes;
      if constexpr (D == DType::kFloat32) weight[0][v] = B::load_float(place);
      if constexpr (D == DType::kFloat16) weight[0][v] = B::load_half(place);
      if constexpr (D == DType::kBFloat16 && !kDot) B::load_bfloat16_pairs(place, weight[0][v], weight[1][v]);
      if constexpr (kDot) weight_pairs[v] = B::load(place);
    }
    const std::byte* x_token = x;
    VLLM_UNROLL for (int t = 0; t < T; ++t, x_token += x_stride) {
      if constexpr (kDot) {
        const auto pair = B::bcast(reinterpret_cast<const int32_t*>(x_token));
        VLLM_UNROLL for (int v = 0; v < kVectors; ++v) acc[t][v] = B::dot_bfloat16(weight_pairs[v], pair, acc[t][v]);
      } else {
        VLLM_UNROLL for (int i = 0; i < kTogether; ++i) {
          const auto value = B::bcast(reinterpret_cast<const float*>(x_token) + i);
          VLLM_UNROLL for (int v = 0; v < kVectors; ++v) acc[t][v] = B::mul_add(value, weight[i][v], acc[t][v]);
        }
      }
    }
    w += kPanelRows * kTogether * kElementBytes;
    x += kDot ? sizeof(int32_t) : kTogether * sizeof(float);
  }
}

// Bias, residual and store of one vector of `rows` rows (the valid ones, at most kLanes).
template <class B>
VLLM_FORCE_INLINE void finish(const typename B::F& sum, int64_t rows, const float* bias, bool add_to_out, float* out) {
  if (rows >= B::kLanes) {
    auto value = bias != nullptr ? B::add(sum, B::load_float(bias)) : sum;
    B::store(out, add_to_out ? B::add(B::load_float(out), value) : value);
    return;
  }
  float values[B::kLanes];
  B::store(values, sum);
  for (int64_t i = 0; i < rows; ++i) {
    float value = bias != nullptr ? values[i] + bias[i] : values[i];
    out[i] = add_to_out ? out[i] + value : value;
  }
}

// Tokens [0, T) of args, rows from `row` on.
template <class B, DType D, int T, int kPanels, int kTerms, bool kCompact>
inline void tile(const TileArgs& args, const std::byte* panel, size_t panel_bytes, int64_t row, const std::byte* x,
                 float* out) {
  constexpr int kVectors = kPanels * kPanelRows / B::kLanes;
  typename B::F acc[T][kVectors];
  if constexpr (is_quantized(D)) {
    static_assert(kPanels == 1);
    constexpr int kTogether = B::kRowSums / T < 1 ? 1 : B::kRowSums / T < kVectors ? B::kRowSums / T : kVectors;
    auto pass = [&](int v) __attribute__((always_inline)) {
      typename B::F part[kTogether][T];
      quantized_sum<B, D, T, kTerms, kTogether>(panel, args.k, x, args.x_stride, v * B::kLanes, part);
      VLLM_UNROLL for (int t = 0; t < T; ++t) {
        VLLM_UNROLL for (int i = 0; i < kTogether; ++i) acc[t][v + i] = part[i][t];
      }
    };
    if constexpr (kVectors <= 2) {
      VLLM_UNROLL for (int v = 0; v < kVectors; v += kTogether) pass(v);
    } else {
      for (int v = 0; v < kVectors; v += kTogether) pass(v);
    }
  } else if constexpr (kCompact) {
    compact_sum<B, T>(panel, args.k, x, args.x_stride, acc);
  } else {
    plain_sum<B, D, T, kPanels>(panel, panel_bytes, args.k, x, args.x_stride, acc);
  }
  VLLM_UNROLL for (int t = 0; t < T; ++t) {
    VLLM_UNROLL for (int v = 0; v < kVectors; ++v) {
      const int64_t first = row + v * B::kLanes;
      if (first < args.rows) {
        finish<B>(acc[t][v], args.rows - first, args.bias != nullptr ? args.bias + first : nullptr, args.add_to_out,
                  out + t * args.out_stride + first);
      }
    }
  }
}

// All tokens of args in runs of T, the rest in runs of T / 2 and so on.
template <class B, DType D, int T, int kPanels, int kTerms, bool kCompact = false>
inline void token_loop(const TileArgs& args, const std::byte* panel, size_t panel_bytes, int64_t row, int64_t token) {
  for (; args.num_tokens - token >= T; token += T) {
    tile<B, D, T, kPanels, kTerms, kCompact>(args, panel, panel_bytes, row,
                                             static_cast<const std::byte*>(args.x) + token * args.x_stride,
                                             args.out + token * args.out_stride);
  }
  if constexpr (T > B::kLeastTokens) {
    if (token < args.num_tokens)
      token_loop<B, D, T / 2, kPanels, kTerms, kCompact>(args, panel, panel_bytes, row, token);
  }
}

template <class B, DType D, int kTerms = 1>
void tile_of_type(const TileArgs& args) {
  if constexpr (is_quantized(D) && kTerms == 1) {
    if (args.x_terms == 2) return tile_of_type<B, D, 2>(args);
  }
  const size_t bytes = panel_bytes(D, args.k);
  const std::byte* panel = args.weight;
  int64_t row = 0;
  // Several panels at once: independent sums hide the latency of fma. One token in whole vectors is bound by memory,
  // and one stream of weights is read faster than several (Zen 4: 34 GB/s a thread, 27 from four).
  if constexpr (!is_quantized(D) && B::kLanes == kPanelRows) {
    for (; args.num_tokens > 1 && args.rows - row > kPanelRows; row += 2 * kPanelRows, panel += 2 * bytes)
      token_loop<B, D, B::kPlainTokens, 2, 1>(args, panel, bytes, row, 0);
  } else if constexpr (!is_quantized(D)) {
    constexpr int kPanels = B::kLanes / 2;  // 8 sums
    for (; args.num_tokens == 1 && args.rows - row > (kPanels - 1) * kPanelRows;
         row += kPanels * kPanelRows, panel += kPanels * bytes)
      token_loop<B, D, 1, kPanels, 1>(args, panel, bytes, row, 0);
  }
  constexpr int kTokens = is_quantized(D) ? B::kTokens : B::kPlainTokens;
  for (; row < args.rows; row += kPanelRows, panel += bytes)
    token_loop<B, D, kTokens, 1, kTerms>(args, panel, bytes, row, 0);
}

template <class B>
void tile_of_quantized_type(const TileArgs& args) {
  switch (args.dtype) {
    case DType::kQ4_0: return tile_of_type<B, DType::kQ4_0>(args);
    case DType::kQ4_1: return tile_of_type<B, DType::kQ4_1>(args);
    case DType::kQ5_0: return tile_of_type<B, DType::kQ5_0>(args);
    case DType::kQ5_1: return tile_of_type<B, DType::kQ5_1>(args);
    case DType::kQ8_0: return tile_of_type<B, DType::kQ8_0>(args);
    case DType::kQ2_K: return tile_of_type<B, DType::kQ2_K>(args);
    case DType::kQ3_K: return tile_of_type<B, DType::kQ3_K>(args);
    case DType::kQ4_K: return tile_of_type<B, DType::kQ4_K>(args);
    case DType::kQ5_K: return tile_of_type<B, DType::kQ5_K>(args);
    case DType::kQ6_K: return tile_of_type<B, DType::kQ6_K>(args);
    default: return;
  }
}

template <class B>
void tile_of_any_type(const TileArgs& args) {
  switch (args.dtype) {
    case DType::kFloat32: return tile_of_type<B, DType::kFloat32>(args);
    case DType::kFloat16: return tile_of_type<B, DType::kFloat16>(args);
    case DType::kBFloat16: return tile_of_type<B, DType::kBFloat16>(args);
    default: return tile_of_quantized_type<B>(args);
  }
}

// absmax / 127 of 32 elements, or NaN, or 0 where the reciprocal would not be finite; `bits` is the largest of the
// elements' bit patterns without sign, whose order is that of the magnitudes, with infinity and NaN on top.
struct BlockScale {
  float scale, reciprocal;
};
template <class B>
inline BlockScale block_scale(uint32_t bits) {
  if (bits >= 0x7f800000u) return {__builtin_nanf(""), 0.0f};
  float absmax;
  __builtin_memcpy(&absmax, &bits, sizeof absmax);
  if (absmax < 1e-35f) return {0.0f, 0.0f};
  return {absmax / 127.0f, 127.0f / absmax};
}

template <class B, int kTerms>
inline void quantize_row(const float* x, int64_t k, QuantizedBlock<kTerms>* out) {
  for (int64_t start = 0; start < k; start += kBlock, x += kBlock, ++out) {
    const BlockScale scale = block_scale<B>(B::largest_bits(x));
    B::quantize_block(x, scale.reciprocal, *out);  // terms, and sums of v in neg_sum and neg_sum_low
    out->scale = kTerms == 2 ? scale.scale / kTermRatio : scale.scale;
    out->scaled_sum = out->scale * static_cast<float>(-out->neg_sum);
  }
}

template <class B>
void quantize(const float* x, int64_t k, int num_terms, void* out) {
  if (num_terms == 2) return quantize_row<B>(x, k, static_cast<QuantizedBlock<2>*>(out));
  quantize_row<B>(x, k, static_cast<QuantizedBlock<1>*>(out));
}

// To nearest even; a NaN stays one. Integer steps that any compiler turns into the vectors of the file's ISA.
static inline uint16_t bfloat16_bits(float x) {
  uint32_t u;
  __builtin_memcpy(&u, &x, sizeof u);
  const uint32_t rounded = u + 0x7fffu + ((u >> 16) & 1u);
  return static_cast<uint16_t>(((u & 0x7fffffffu) > 0x7f800000u ? (u | 0x400000u) : rounded) >> 16);
}

template <class B>
void round_to_bfloat16(const float* x, int64_t k, float* out) {
  for (int64_t i = 0; i < k; ++i) {
    const uint32_t u = static_cast<uint32_t>(bfloat16_bits(x[i])) << 16;
    __builtin_memcpy(out + i, &u, sizeof u);
  }
  if (k % 2 != 0) out[k] = 0.0f;
}

// The same as bfloat16, 2 bytes an element: for dot products of pairs.
static inline void round_to_bfloat16_pairs(const float* x, int64_t k, float* out) {
  auto* to = reinterpret_cast<uint16_t*>(out);
  for (int64_t i = 0; i < k; ++i) to[i] = bfloat16_bits(x[i]);
  if (k % 2 != 0) to[k] = 0;
}

}  // namespace vllm::linear
