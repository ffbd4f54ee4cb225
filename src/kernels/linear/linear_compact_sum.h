#pragma once
// Sums over two compact panels of bfloat16 weights (linear_layout.h), and their plain form. What B is: linear_tile.h.
#include "kernels/linear/linear_layout.h"
#include "kernels/simd/unroll.h"

namespace vllm::linear {

// acc[t][p] += the sums over two k, whose weights are pairs of bfloat16.
template <class B, int T>
VLLM_FORCE_INLINE void add_pairs(const typename B::I& first, const typename B::I& second, const std::byte* x,
                                 int64_t x_stride, typename B::F (&acc)[T][2]) {
  if constexpr (B::kDotBFloat16) {
    VLLM_UNROLL for (int t = 0; t < T; ++t, x += x_stride) {
      const auto pair = B::bcast(reinterpret_cast<const int32_t*>(x));
      acc[t][0] = B::dot_bfloat16(first, pair, acc[t][0]), acc[t][1] = B::dot_bfloat16(second, pair, acc[t][1]);
    }
  } else {
    typename B::F weight[2][2];
    B::split_pairs(first, weight[0][0], weight[1][0]), B::split_pairs(second, weight[0][1], weight[1][1]);
    VLLM_UNROLL for (int t = 0; t < T; ++t, x += x_stride) {
      VLLM_UNROLL for (int i = 0; i < 2; ++i) {
        const auto value = B::bcast(reinterpret_cast<const float*>(x) + i);
        VLLM_UNROLL for (int p = 0; p < 2; ++p) acc[t][p] = B::mul_add(value, weight[i][p], acc[t][p]);
      }
    }
  }
}

// A block of 64 k of two compact panels as plain ones. `w`: its groups.
template <class B>
inline void unpack_compact_block(const std::byte* panels, const std::byte* tables, const std::byte* w,
                                 std::byte* const (&out)[2]) {
  for (int p = 0; p < 2; ++p) {
    const std::byte* table = tables + p * kCompactTable;
    if (table[0] > table[kCompactTable - 1]) {
      int64_t offset;
      __builtin_memcpy(&offset, table + 1, sizeof offset);
      __builtin_memcpy(out[p], panels + offset, kCompactRawBytes);
      continue;
    }
    const auto exponents = B::load_table(table);
    for (int i = 0; i < kCompactBlock / kCompactGroup; ++i) {
      typename B::I pairs[4];
      B::unpack_pairs(w + (2 * i + p) * 3 * kVector, exponents, pairs);
      VLLM_UNROLL for (int j = 0; j < 4; ++j) B::store(out[p] + (4 * i + j) * kVector, pairs[j]);
    }
  }
}

inline constexpr int kCompactBlockBytes = kCompactBlock / kCompactGroup * 2 * 3 * kVector;

template <class B>
void unpack_compact_panels(const std::byte* panels, int64_t k, std::byte* out) {
  const std::byte *tables = panels, *w = panels + compact_tables_bytes(k);
  for (int64_t b = 0; b < k / kCompactBlock; ++b, tables += 2 * kCompactTable, w += kCompactBlockBytes) {
    std::byte* const first = out + static_cast<size_t>(b) * kCompactRawBytes;
    unpack_compact_block<B>(panels, tables, w, {first, first + panel_bytes(DType::kBFloat16, k)});
  }
}

// acc[t][p] = the sum over all k, for T tokens and two compact panels: the products and sums of plain_sum.
template <class B, int T>
VLLM_FORCE_INLINE void compact_sum(const std::byte* panels, int64_t k, const std::byte* x, int64_t x_stride,
                                   typename B::F (&acc)[T][2]) {
  constexpr int kPairBytes = B::kDotBFloat16 ? 4 : 8;
  VLLM_UNROLL for (int t = 0; t < T; ++t) acc[t][0] = acc[t][1] = B::zero();
  const std::byte *table = panels, *w = panels + compact_tables_bytes(k);
  for (int64_t blocks = k / kCompactBlock; blocks > 0; --blocks, table += 2 * kCompactTable) {
    if (table[0] > table[kCompactTable - 1] || table[kCompactTable] > table[2 * kCompactTable - 1]) {
      alignas(64) std::byte plain[2][kCompactRawBytes];
      unpack_compact_block<B>(panels, table, w, {plain[0], plain[1]});
      for (int i = 0; i < kCompactBlock / 2; ++i, x += kPairBytes)
        add_pairs<B, T>(B::load(plain[0] + i * kVector), B::load(plain[1] + i * kVector), x, x_stride, acc);
      w += kCompactBlockBytes;
      continue;
    }
    const auto first = B::load_table(table), second = B::load_table(table + kCompactTable);
    for (int i = 0; i < kCompactBlock / kCompactGroup; ++i, w += 2 * 3 * kVector) {
      typename B::I pairs[2][4];
      B::unpack_pairs(w, first, pairs[0]), B::unpack_pairs(w + 3 * kVector, second, pairs[1]);
      VLLM_UNROLL for (int j = 0; j < 4; ++j, x += kPairBytes)
          add_pairs<B, T>(pairs[0][j], pairs[1][j], x, x_stride, acc);
    }
  }
}

}  // namespace vllm::linear
