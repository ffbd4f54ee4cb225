#pragma once
// The loops over compact bfloat16 weights. Included as linear_tile.h is.
//
// Few tokens: panels are unpacked in registers, once for kCompactTokens. More: some blocks of k at a time are unpacked
// into the L1 cache, where up to kSlabTokens share them; the sums wait in memory meanwhile. Each sum is made in the
// same order either way.
#include "kernels/linear/linear_tile.h"

namespace vllm::linear {

inline constexpr int64_t kSlabTokens = 64;
inline constexpr int kUnitBlocks = 2;  // blocks of 64 k unpacked at a time: 8 KB

struct CompactSlab {
  alignas(64) std::byte plain[2][kUnitBlocks * kCompactRawBytes];
  alignas(64) float sums[kSlabTokens][kCompactRows];
};

// sums of T tokens += `pairs` pairs of k of both panels.
template <class B, int T>
VLLM_FORCE_INLINE void add_unit(const CompactSlab& slab, int64_t pairs, const std::byte* x, int64_t x_stride,
                                float* sums) {
  constexpr int kPairBytes = B::kDotBFloat16 ? 4 : 8;
  typename B::F acc[T][2];
  VLLM_UNROLL for (int t = 0; t < T; ++t) {
    VLLM_UNROLL for (int p = 0; p < 2; ++p) acc[t][p] = B::load_float(sums + t * kCompactRows + p * kPanelRows);
  }
  for (int64_t i = 0; i < pairs; ++i, x += kPairBytes)
    add_pairs<B, T>(B::load(slab.plain[0] + i * kVector), B::load(slab.plain[1] + i * kVector), x, x_stride, acc);
  VLLM_UNROLL for (int t = 0; t < T; ++t) {
    VLLM_UNROLL for (int p = 0; p < 2; ++p) B::store(sums + t * kCompactRows + p * kPanelRows, acc[t][p]);
  }
}

// All tokens in runs of T, the rest in runs of T / 2 and so on. Between runs a share of what comes next is asked for.
template <class B, int T>
inline void add_unit_to_tokens(CompactSlab& slab, int64_t pairs, const std::byte* x, int64_t x_stride, int64_t tokens,
                               int64_t token, const std::byte* next, int64_t next_bytes) {
  for (; tokens - token >= T; token += T) {
    const int64_t from = next_bytes * token / tokens, to = next_bytes * (token + T) / tokens;
    for (int64_t i = from / kVector; i < to / kVector; ++i) __builtin_prefetch(next + i * kVector);
    add_unit<B, T>(slab, pairs, x + token * x_stride, x_stride, slab.sums[token]);
  }
  if constexpr (T > 1) {
    if (token < tokens) add_unit_to_tokens<B, T / 2>(slab, pairs, x, x_stride, tokens, token, next, next_bytes);
  }
}

// Two panels and at most kSlabTokens tokens.
template <class B>
inline void compact_slab(const TileArgs& args, const std::byte* panels, int64_t row, int64_t first, int64_t tokens) {
  constexpr int64_t kPairBytes = B::kDotBFloat16 ? 4 : 8;
  CompactSlab slab;
  for (int64_t t = 0; t < tokens; ++t) {
    VLLM_UNROLL for (int p = 0; p < 2; ++p) B::store(slab.sums[t] + p * kPanelRows, B::zero());
  }
  const std::byte *table = panels, *w = panels + compact_tables_bytes(args.k);
  const auto* x = static_cast<const std::byte*>(args.x) + first * args.x_stride;
  for (int64_t left = args.k / kCompactBlock; left > 0; left -= kUnitBlocks) {
    const int64_t blocks = left < kUnitBlocks ? left : kUnitBlocks;
    for (int64_t b = 0; b < blocks; ++b, table += 2 * kCompactTable, w += kCompactBlockBytes) {
      unpack_compact_block<B>(panels, table, w,
                              {slab.plain[0] + b * kCompactRawBytes, slab.plain[1] + b * kCompactRawBytes});
    }
    const int64_t pairs = blocks * kCompactBlock / 2;
    add_unit_to_tokens<B, B::kCompactTokens>(slab, pairs, x, args.x_stride, tokens, 0, w,
                                             kUnitBlocks * kCompactBlockBytes);
    x += pairs * kPairBytes;
  }
  for (int64_t t = 0; t < tokens; ++t) {
    for (int64_t p = 0; p < 2; ++p) {
      const int64_t at = row + p * kPanelRows;
      if (at >= args.rows) break;
      finish<B>(B::load_float(slab.sums[t] + p * kPanelRows), args.rows - at,
                args.bias != nullptr ? args.bias + at : nullptr, args.add_to_out,
                args.out + (first + t) * args.out_stride + at);
    }
  }
}

template <class B>
void compact_tile(const TileArgs& args) {
  const size_t bytes = compact_panels_bytes(args.k);
  const std::byte* panels = args.weight;
  for (int64_t row = 0; row < args.rows; row += kCompactRows, panels += bytes) {
    if (args.num_tokens <= B::kCompactTokens) {
      token_loop<B, DType::kBFloat16, B::kCompactTokens, 2, 1, true>(args, panels, bytes, row, 0);
      continue;
    }
    for (int64_t first = 0; first < args.num_tokens; first += kSlabTokens) {
      const int64_t left = args.num_tokens - first;
      compact_slab<B>(args, panels, row, first, left < kSlabTokens ? left : kSlabTokens);
    }
  }
}

}  // namespace vllm::linear
