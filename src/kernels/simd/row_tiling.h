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

/// `row_cost` counts elements read or written per row; a tile holds about 32k of them.
inline RowTiling tile_rows(int64_t num_rows, int64_t row_cost) {
  int64_t rows = std::max<int64_t>(1, 32768 / std::max<int64_t>(1, row_cost));
  return {rows, (num_rows + rows - 1) / rows};
}

}  // namespace vllm
