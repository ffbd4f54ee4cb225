#pragma once
// How row-wise ops cut their rows into tiles for a ThreadPool: by shape alone, small work in one tile (no thread is
// woken).
#include <algorithm>
#include <cstdint>

namespace vllm {

struct RowTiling {
  int64_t rows_per_tile;
  int64_t num_tiles;
};

/// `row_cost` counts elements read or written per row; a tile holds up to about 32k of them, and all hold as many rows.
inline RowTiling tile_rows(int64_t num_rows, int64_t row_cost) {
  int64_t rows = std::max<int64_t>(1, 32768 / std::max<int64_t>(1, row_cost));
  const int64_t tiles = std::max<int64_t>(1, (num_rows + rows - 1) / rows);
  rows = (num_rows + tiles - 1) / tiles;
  return {rows, rows > 0 ? (num_rows + rows - 1) / rows : 0};
}

}  // namespace vllm
