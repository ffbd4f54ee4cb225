#pragma once
// What the packing code and the kernels of every ISA agree on: packed weights and quantized activations in memory.
//
// A packed weight is a run of panels of 16 rows (the last one padded with zero rows), each panel all of k:
//   float32, float16   [k][16]                 one vector of 16 rows per k
//   bfloat16           [k / 2][16][2]          pairs of k, a zero after an odd k
//   compact bfloat16   12 bits a weight where 16 rows x 64 k hold at most 16 different exponents. Two panels of 16 rows
//                      side by side: [k / 64][2] tables of those exponents, up to a whole cache line; then [k / 8][2]
//                      groups of three vectors of 64 bytes: twice (mantissa << 1 | sign) and once the places in the
//                      table, for the first of the two in the low half of a byte. The weights of a pair of k
//                      are 8 bytes in each 16 of a vector: see unpack_compact. A table whose first byte is above its
//                      last one holds an int64 from byte 1 on: how far behind the beginning its 64 k lie as bfloat16.
//   quantized          [k / 32] blocks of 32 k: quants as bytes [k / 4][16][4] (what VNNI and AMX instructions eat),
//   cut
//                      into planes: 8 bits: 8 vectors of 64 bytes. Else 4 vectors of nibbles, vector j holding that of
//                      bytes j in its low and of bytes j + 4 in its high half; then for 5 bits one vector whose bit j
//                      is the fifth bit of vector j; for 6 bits two vectors, whose bits 2j, 2j + 1 are those of vector
//                      j (j + 4 in the second). Then scales and mins:
//     plain types      float16 d[16], float16 dmin[16] (types with a min)
//     k-quants         int8 scale[groups][16], uint8 min[groups][16], groups = 32 / group_size; and in front of every
//                      8 blocks float16 d[16], dmin[16]
#include <cstddef>
#include <cstdint>

#include "kernels/dequantize/unpack_block.h"
#include "tensor/dtype.h"

namespace vllm::linear {

inline constexpr int kPanelRows = 16;
inline constexpr int kBlock = 32;   // k elements that share a scale of x
inline constexpr int kVector = 64;  // bytes: 16 rows x 4 k

struct QuantLayout {
  int bits;    // stored: 4, 5, 6 or 8
  int groups;  // of a block of 32: 1 or 2
  int offset;  // log2, or -1: types with a min have none
  bool has_min;
  bool super;  // a k-quant: 8 blocks under one header

  constexpr int blocks_per_unit() const { return super ? 8 : 1; }
  constexpr int quant_bytes() const { return bits == 8 ? 8 * kVector : (4 + (bits - 4)) * kVector; }
  constexpr int scale_bytes() const { return groups * kPanelRows * (super ? 1 : 2); }
  constexpr int block_bytes() const { return quant_bytes() + scale_bytes() * (has_min ? 2 : 1); }
  constexpr int header_bytes() const { return super ? kPanelRows * 2 * (has_min ? 2 : 1) : 0; }
  constexpr int unit_bytes() const { return header_bytes() + blocks_per_unit() * block_bytes(); }
};

constexpr QuantLayout quant_layout(DType dtype) {
  BlockForm form = block_form(dtype);
  int offset = -1;
  for (int o = form.offset; o > 0; o >>= 1) ++offset;
  return {form.bits < 4 ? 4 : form.bits, kBlock / form.group_size, offset, form.has_min, dtype >= DType::kQ2_K};
}

/// Bytes of one panel of a weight with k columns.
constexpr size_t panel_bytes(DType dtype, int64_t k) {
  size_t columns = static_cast<size_t>(k);
  if (dtype == DType::kFloat32) return columns * kPanelRows * 4;
  if (dtype == DType::kFloat16) return columns * kPanelRows * 2;
  if (dtype == DType::kBFloat16) return (columns + 1) / 2 * kPanelRows * 4;
  QuantLayout layout = quant_layout(dtype);
  return columns / static_cast<size_t>(kBlock * layout.blocks_per_unit()) * static_cast<size_t>(layout.unit_bytes());
}

inline constexpr int kCompactBlock = 64, kCompactTable = 16;  // k that share a table; its bytes
inline constexpr int kCompactGroup = 8;                       // k in three vectors
inline constexpr int kCompactRows = 2 * kPanelRows;
inline constexpr size_t kCompactRawBytes = size_t{kCompactBlock} * kPanelRows * 2;

constexpr size_t compact_tables_bytes(int64_t k) {
  return static_cast<size_t>((k / kCompactBlock * 2 * kCompactTable + kVector - 1) / kVector * kVector);
}
/// Of 32 rows; k is a multiple of kCompactBlock.
constexpr size_t compact_panels_bytes(int64_t k) {
  return compact_tables_bytes(k) + static_cast<size_t>(k / kCompactGroup * 2 * 3 * kVector);
}

inline constexpr int kTermRatio = 254;  // one step of the first term of x is as much as 254 of the second

/// 32 elements of x: x[i] is about scale * v[i], where v[i] is terms[0][i] or, with two terms,
/// kTermRatio * terms[0][i] + terms[1][i]; every term is in [-127, 127]. The second term is the rounding error of the
/// first, at most half a step of it, so 127 of its own. A block with a NaN or infinity has scale NaN and zeros.
/// Sums fit: |v| < 2^15, so 32 v are below 2^20, exact as a float, and below 2^28 with the 8 bits of a weight.
template <int kTerms>
struct QuantizedBlock {
  float scale;
  int32_t neg_sum;      // -(v[0] + .. + v[31]): times an offset, what an accumulator of offset quants starts from
  int32_t neg_sum_low;  // -(v[0] + .. + v[15])
  float scaled_sum;     // scale * (v[0] + .. + v[31]): meets the mins
  int8_t terms[kTerms][kBlock];
};
static_assert(sizeof(QuantizedBlock<1>) == 48 && sizeof(QuantizedBlock<2>) == 80);

constexpr size_t quantized_block_bytes(int num_terms) {
  return num_terms == 1 ? sizeof(QuantizedBlock<1>) : sizeof(QuantizedBlock<2>);
}

/// Some panels times some tokens.
struct TileArgs {
  const std::byte* weight;  // the first panel
  DType dtype;
  bool compact;
  int64_t rows;  // of the panels together; only the last panel may have fewer than 16
  int64_t k;
  const void* x;     // quantized: QuantizedBlock<x_terms>[k / 32]; bfloat16: what round_to_bfloat16 made; else float
  int x_terms;       // quantized: 1 or 2
  int64_t x_stride;  // bytes between tokens
  int64_t num_tokens;
  float* out;          // [num_tokens, rows]
  int64_t out_stride;  // elements
  const float* bias;   // [rows] or null
  bool add_to_out;
};

/// Two compact panels to two plain ones.
void unpack_compact(const std::byte* panels, int64_t k, std::byte* out);

/// The code of one ISA. Every element of out is made by the same operations in the same order whatever the tile; for
/// quantized weights whatever the ISA too.
struct Kernels {
  const char* name;
  void (*tile)(const TileArgs& args);
  void (*quantize)(const float* x, int64_t k, int num_terms, void* out);  // k: a multiple of 32
  void (*round_to_bfloat16)(const float* x, int64_t k, float* out);       // room for k + 1 floats; only `tile` reads it
  bool reads_compact = false;  // `tile` takes compact panels; else they are unpacked first
  void (*unpack_compact)(const std::byte* panels, int64_t k, std::byte* out) = linear::unpack_compact;
  /// Or null: called with the prepared x of tokens 2i and 2i + 1 (x_terms 0: bfloat16) where both exist, for a `tile`
  /// that wants them together. Tiles begin at even tokens.
  void (*interleave)(void* even, void* odd, int64_t k, int x_terms) = nullptr;
};
const Kernels& scalar_kernels();
const Kernels& avx2_kernels();
const Kernels& avx512_kernels();
const Kernels& avx512_bf16_kernels();  // differs for bfloat16 weights only, there also in the last bits
const Kernels& amx_kernels();          // the same; float32 and float16 weights as avx512
void try_amx_instructions();           // each of those that amx_kernels uses, once
/// AMX with its tile unit in plain C++ (linear_tiles.h): the same bits on any CPU, slowly.
const Kernels& amx_emulated_avx512_kernels();
const Kernels& amx_emulated_kernels();
const Kernels& neon_kernels();
const Kernels& neon_dotprod_kernels();
const Kernels& neon_i8mm_kernels();  // bfloat16 differs in the last bits

/// Rows [first, first + 16) of an unpacked weight [n, k] as one panel; rows from n on are zero.
void pack_panel(DType dtype, const void* weight, int64_t n, int64_t k, int64_t first, std::byte* panel);

}  // namespace vllm::linear
