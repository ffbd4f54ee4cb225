#include "kernels/linear/linear_cuda_plan.h"

#include <algorithm>

#include "kernels/linear/linear_wgmma_table.h"

namespace vllm {
namespace {

constexpr int kWarps = 8;
constexpr int kMaxFusedNormTokens = 2;     // every block reads all of x: beyond, a kernel apart is cheaper
constexpr int kMaxGemvShortK = 3072;       // one token of short rows: the GEMV (0.6B: 13.6 us a layer, not 17.9)
constexpr int kMaxStagedBytes = 48 << 10;  // of x: more takes the room of the next kernel's prefetch

// Tile heights that linear_cuda_bench's sweep found best on an H200, of 1, 2, 3, 4 and 6 groups: Qwen3 0.6B's layers at
// up to 8 tokens (the even spread below makes its steps 1 % slower). Those of the 8B are faster evenly spread: by 1.6,
// 0.7, 1.6 and 1.9 % of a step of 1, 2, 4 and 16 sequences. Sums do not depend on the height.
struct MeasuredHeight {
  int min_k, max_k, min_n, max_n, max_tokens, row_groups;
};
constexpr int kAny = 1 << 30;
constexpr MeasuredHeight kMeasuredHeights[] = {
    {0, 2048, 3073, 5120, 8, 6},  // 0.6B qkv, 4096 x 1024: 3.47 us at 1 token, 3.87 at 8
    {0, 2048, 5121, 9216, 8, 4},  // 0.6B gate_up, 6144 x 1024: 4.25 at 1, 4.85 at 8
    {0, kAny, 0, 1536, 4, 1},     // 0.6B o, 1024 x 2048, and down, 1024 x 3072: 2.54 and 3.34 at 1
    {0, 2048, 0, 1536, 8, 1},     //   o: 2.98 at 8
    {2049, kAny, 0, 1536, 8, 2},  //   down: 3.74
};

// Else the height that spreads n over the SMs most evenly; the higher one of equals, as it reads x less often.
int pick_row_groups(const LinearDesc& desc, int sm_count) {
  for (const MeasuredHeight& m : kMeasuredHeights) {
    if (desc.k >= m.min_k && desc.k <= m.max_k && desc.n >= m.min_n && desc.n <= m.max_n &&
        desc.num_tokens <= m.max_tokens)
      return m.row_groups;
  }
  const int groups = (desc.n + 7) / 8;
  int best = 1, best_cost = 1 << 30;
  for (int r : {1, 2, 3, 4, 6}) {
    const int tiles = (groups + r - 1) / r;
    const int cost = (tiles + sm_count - 1) / sm_count * r;
    if (cost <= best_cost) best = r, best_cost = cost;
  }
  return best;
}

// All of x in shared memory pays where many tiles of a block read it, or where the norm goes with it: with one token
// or two of a long row (8B: 97.6 us a layer against 99.0). Short rows stream beside the weight, the norm apart
// (0.6B: 1 us for two norms, 1.5 us less in the products).
bool wants_staged_x(const LinearDesc& desc) {
  if (desc.n > 65536) return desc.num_tokens <= 8;
  return desc.num_tokens <= 2 && desc.k > 2048 && desc.n > 1536;
}

}  // namespace

const char* to_string(LinearKind kind) {
  switch (kind) {
    case LinearKind::kSimt: return "simt";
    case LinearKind::kStream: return "stream";
    case LinearKind::kGemv: return "gemv";
    case LinearKind::kGemm: return "gemm";
    case LinearKind::kWgmma: return "wgmma";
    case LinearKind::kCublasLt: return "cublaslt";
  }
  return "";
}

int64_t token_bucket(int64_t num_tokens) {
  if (num_tokens <= 2) return std::max<int64_t>(num_tokens, 1);
  if (num_tokens > 256 && num_tokens <= 2048) {
    const int64_t step = num_tokens <= 512 ? 64 : num_tokens <= 1024 ? 128 : 256;
    return (num_tokens + step - 1) / step * step;
  }
  for (int64_t power = 4;; power *= 2) {
    if (power > 16 && num_tokens <= power / 4 * 3) return power / 4 * 3;
    if (num_tokens <= power) return power;
  }
}

int stream_shared_bytes(int row_groups, int token_halves, bool staged_x, int num_tokens, int k) {
  const int units = stream_units_in_flight(row_groups, token_halves, staged_x);
  const int ring = kWarps * units * (row_groups + (staged_x ? 0 : token_halves)) * 1024;
  const int partial_sums = kWarps * row_groups * token_halves * 64 * 4;
  const int x = staged_x ? num_tokens * ((k + 63) / 64 * 128 + 64) : 0;
  return ring + partial_sums + x;
}

LinearConfig gemv_config(const LinearDesc& desc, const LinearDevice& device) {
  LinearConfig config{.kind = LinearKind::kGemv, .fused_norm = desc.norm};
  const int pairs = (desc.n + 1) / 2, chunks = (desc.k + 255) / 256;
  // 16 warps for each SM, of 8 loads each, are enough to hide the memory's latency.
  while (config.k_split < kWarps && pairs * config.k_split < 12 * device.sm_count && config.k_split * 2 <= chunks)
    config.k_split *= 2;
  const int groups = kWarps / config.k_split, blocks = (pairs + groups - 1) / groups;
  // Few blocks on an SM leave room for the next kernel's; the number that leaves the fewest of them idle.
  int best_cost = 1 << 30;
  for (int per_sm : {2, 3, 4}) {
    const int grid = per_sm * device.sm_count, cost = (blocks + grid - 1) / grid * per_sm;
    if (cost < best_cost) best_cost = cost, config.grid = std::min(blocks, grid);
  }
  return config;
}

int wgmma_stages(const LinearDesc& desc, const LinearDevice& device, const LinearConfig& c) {
  const int units = (desc.k + kWgmmaUnit - 1) / kWgmmaUnit;
  // An SM has 1 KB more than a block may use, and keeps 1 KB for each block; 2 KB are static.
  const int room = ((device.shared_bytes + 2048) / c.blocks_per_sm & ~1023) - 1024 - 2048;
  const int bytes = (c.tile_rows + c.tile_tokens) * 2 * kWgmmaUnit;
  return std::min({(room - 1024) / bytes, (units + c.k_split - 1) / c.k_split, 32});
}

bool finish_wgmma(const LinearDesc& desc, const LinearDevice& device, LinearConfig& c) {
  const int units = (desc.k + kWgmmaUnit - 1) / kWgmmaUnit, size = c.k_split * c.share;
  if (c.k_split > units || size > 8 || (c.share > 1 && c.tile_tokens % (8 * c.share) != 0)) return false;
  c.stages = wgmma_stages(desc, device, c);
  if (c.stages < std::min(2, (units + c.k_split - 1) / c.k_split)) return false;
  if (wgmma_shared_bytes(c.tile_rows, c.tile_tokens, c.stages) + 2048 > device.shared_bytes) return false;
  c.grid = (desc.n + c.tile_rows * c.share - 1) / (c.tile_rows * c.share) * size;
  return true;
}

LinearConfig batch_invariant_config(const LinearDesc& desc) {
  const bool half = desc.dtype == DType::kBFloat16 || desc.dtype == DType::kFloat16;
  return {.kind = half && desc.aligned_x ? LinearKind::kGemm : LinearKind::kSimt};
}

LinearConfig pick_config(const LinearDesc& desc, const LinearDevice& device) {
  LinearConfig config;
  const bool half = desc.dtype == DType::kBFloat16 || desc.dtype == DType::kFloat16;
  if (desc.num_tokens > kMaxStreamTokens && half && desc.aligned_x) return pick_many_tokens(desc, device);
  if (!half || !desc.aligned_x) {
    if (desc.aligned_x && desc.aligned_out && device.cublaslt && desc.num_tokens > kMaxStreamTokens) {
      config.kind = LinearKind::kCublasLt;
    }
    return config;
  }
  if (desc.num_tokens == 1 && desc.k <= kMaxGemvShortK && desc.n <= 65536) return gemv_config(desc, device);
  config.kind = LinearKind::kStream;
  config.row_groups = pick_row_groups(desc, device.sm_count);
  const int64_t x_bytes = int64_t{desc.num_tokens} * ((desc.k + 63) / 64 * 128 + 64);
  config.staged_x = wants_staged_x(desc) && x_bytes <= kMaxStagedBytes;
  if (config.staged_x) {
    const int shared = stream_shared_bytes(config.row_groups, 1, true, desc.num_tokens, desc.k);
    config.staged_x = shared <= device.shared_bytes;
    config.fused_norm = config.staged_x && desc.norm && desc.num_tokens <= kMaxFusedNormTokens;
  }
  const int tiles = (desc.n + 8 * config.row_groups - 1) / (8 * config.row_groups);
  config.grid = std::min(tiles, device.sm_count);
  // A step of 8 tokens: 0.6B 1.03 ms, not 1.09, 8B 4.48, not 4.60; 0.6B's lm_head at one token 75 us, not 98. The
  // layers' products of one or two tokens lie better beside each other.
  config.alone = (!config.staged_x || desc.n > 65536) && device.shared_bytes > 200000;
  return config;
}

}  // namespace vllm
