#include <cmath>

#include "kernels/rope/rope.h"
#include "kernels/simd/row_tiling.h"

namespace vllm {

void rope_table(const RopeTableParams& p, ThreadPool& pool) {
  int64_t num_tokens = p.cos.size(0), half = static_cast<int64_t>(p.inv_freq.size());
  CHECK(static_cast<int64_t>(p.positions.size()) == num_tokens && p.sin.size(0) == num_tokens);
  CHECK(p.cos.size(1) == half && p.sin.size(1) == half);
  RowTiling tiling = tile_rows(num_tokens, 64 * half);  // a cosine costs as much as 64 loads
  pool.parallel_for(tiling.num_tiles, [&](int64_t tile, int) {
    int64_t end = std::min(num_tokens, (tile + 1) * tiling.rows_per_tile);
    for (int64_t t = tile * tiling.rows_per_tile; t < end; ++t) {
      double position = p.positions[static_cast<size_t>(t)];
      for (int64_t i = 0; i < half; ++i) {
        double angle = position * p.inv_freq[static_cast<size_t>(i)];
        p.cos(t, i) = static_cast<float>(std::cos(angle) * p.scale);
        p.sin(t, i) = static_cast<float>(std::sin(angle) * p.scale);
      }
    }
  });
}

}  // namespace vllm
