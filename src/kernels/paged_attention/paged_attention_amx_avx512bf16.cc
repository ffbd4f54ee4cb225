// Attention over a bfloat16 or 8-bit cache by the tile unit of AMX: the rounded queries, keys, weights and values of
// attend_pairs.h lie as tile registers take them, so scores and values are two products of matrices. A row's sums do
// not depend on the rows beside it, so a query alone (its heads are the rows of a tile) gives the bits of a prefill.
#if defined(__x86_64__)
#include "kernels/linear/linear_tiles.h"
#include "kernels/paged_attention/attend_pairs.h"

namespace vllm {
namespace {

using linear::EmulatedTiles, linear::kTileBytes, linear::kTileRows, linear::NativeTiles, linear::TileConfig;

/// out[rows][columns] = or += x[rows][k] * w[k][columns]: of x and w each element is a pair, columns and k are
/// multiples of 16, strides count elements.
struct TileProduct {
  const uint32_t *x, *w;
  float* out;
  int64_t x_stride, w_stride, out_stride;
  int64_t rows, columns, k;
  bool add;
};

// Registers 0 to 3 are sums, 4 and 5 hold x, 6 and 7 hold w.
TileConfig config_for(int64_t rows) {
  TileConfig config;
  for (int tile = 0; tile < 6; ++tile)
    config.set(tile, rows < kTileRows ? static_cast<int>(rows) : kTileRows, kTileBytes);
  for (int tile = 6; tile < 8; ++tile) config.set(tile, kTileRows, kTileBytes);
  return config;
}

// kA tiles of rows, from row[0] and row[1] on, times kB tiles of columns.
template <int kA, int kB, class Tiles>
VLLM_FORCE_INLINE void multiply_block(Tiles& tiles, const TileProduct& p, const int64_t (&row)[2], int64_t column) {
  constexpr bool kBoth = kA == 2 && kB == 2;
  const int64_t stride = p.out_stride * 4;
  float *first = p.out + row[0] * p.out_stride + column, *second = p.out + row[1] * p.out_stride + column;
  if (p.add) {
    tiles.template load<0>(first, stride);
    if constexpr (kB == 2) tiles.template load<1>(first + kTileRows, stride);
    if constexpr (kA == 2) tiles.template load<2>(second, stride);
    if constexpr (kBoth) tiles.template load<3>(second + kTileRows, stride);
  } else {
    tiles.template zero<0>();
    if constexpr (kB == 2) tiles.template zero<1>();
    if constexpr (kA == 2) tiles.template zero<2>();
    if constexpr (kBoth) tiles.template zero<3>();
  }
  const uint32_t *x[2] = {p.x + row[0] * p.x_stride, p.x + row[1] * p.x_stride}, *w = p.w + column;
  for (int64_t k = 0; k < p.k; k += kTileRows, w += kTileRows * p.w_stride) {
    tiles.template load<6>(w, p.w_stride * 4);
    tiles.template load<4>(x[0] + k, p.x_stride * 4);
    tiles.template dot_bfloat16<0, 4, 6>();
    if constexpr (kB == 2) {
      tiles.template load<7>(w + kTileRows, p.w_stride * 4);
      tiles.template dot_bfloat16<1, 4, 7>();
    }
    if constexpr (kA == 2) {
      tiles.template load<5>(x[1] + k, p.x_stride * 4);
      tiles.template dot_bfloat16<2, 5, 6>();
      if constexpr (kB == 2) tiles.template dot_bfloat16<3, 5, 7>();
    }
  }
  tiles.template store<0>(first, stride);
  if constexpr (kB == 2) tiles.template store<1>(first + kTileRows, stride);
  if constexpr (kA == 2) tiles.template store<2>(second, stride);
  if constexpr (kBoth) tiles.template store<3>(second + kTileRows, stride);
}

template <int kA, class Tiles>
void multiply_rows(Tiles& tiles, const TileProduct& p, const int64_t (&row)[2]) {
  int64_t column = 0;
  for (; column + 2 * kTileRows <= p.columns; column += 2 * kTileRows) multiply_block<kA, 2>(tiles, p, row, column);
  if (column < p.columns) multiply_block<kA, 1>(tiles, p, row, column);
}

// The last 16 rows overlap those before them where `rows` is no multiple. Both are in one block then (a tile without
// partner comes first), which has read all sums before it writes any: what is computed twice is the same.
template <class Tiles>
void multiply(Tiles& tiles, const TileProduct& p) {
  const int64_t last = p.rows > kTileRows ? p.rows - kTileRows : 0;
  int64_t row = 0;
  if ((p.rows + kTileRows - 1) / kTileRows % 2 == 1) multiply_rows<1>(tiles, p, {0, 0}), row = kTileRows;
  for (; row < p.rows; row += 2 * kTileRows)
    multiply_rows<2>(tiles, p, {row, row + kTileRows < last ? row + kTileRows : last});
}

/// Over pages of T.
template <typename T, class Tiles>
struct AttendTiles : AttendPairs {
  void run_tile(Tiles& tiles, int64_t start, int64_t first, int64_t end, int64_t last) const {
    if constexpr (std::is_same_v<T, int8_t>) load_scales(start, first, end);
    load_pairs<T>(start, first, end, last);
    multiply(tiles, {.x = queries,
                     .w = key_pairs,
                     .out = weights,
                     .x_stride = steps,
                     .w_stride = kTile,
                     .out_stride = kTile,
                     .rows = rows,
                     .columns = kTile,
                     .k = steps,
                     .add = false});
    for (int64_t row = 0; row < rows; ++row) {
      const auto [begin, stop] = lanes(row, start);
      soften_to_pairs(row, begin, stop);
    }
    multiply(tiles, {.x = weight_pairs(0),
                     .w = value_pairs,
                     .out = sums,
                     .x_stride = kTile,
                     .w_stride = padded,
                     .out_stride = padded,
                     .rows = rows,
                     .columns = padded,
                     .k = kTile / 2,
                     .add = true});
  }

  void run() const {
    if (t.part == AttentionTask::Part::kMerge) return Attend::run();
    round_queries();
    Tiles tiles(config_for(rows));
    run_tiles([this, &tiles](int64_t start, int64_t first, int64_t end, int64_t last) {
      run_tile(tiles, start, first, end, last);
    });
  }
};

template <class Tiles>
void attend(const AttentionTask& task) {
  if (!can_take_pairs(task, 16)) return attend_avx512(task);
  switch (task.kv->dtype) {
    case DType::kUInt8: return AttendTiles<Float8, Tiles>{{{task}}}.run();
    case kKvInt8: return AttendTiles<int8_t, Tiles>{{{task}}}.run();
    default: return AttendTiles<BFloat16, Tiles>{{{task}}}.run();
  }
}

}  // namespace

void attend_amx(const AttentionTask& task) { attend<NativeTiles>(task); }
void attend_amx_emulated(const AttentionTask& task) { attend<EmulatedTiles>(task); }

}  // namespace vllm
#endif
