#include "kernels/linear/linear_cuda_plan.h"

#include <algorithm>

namespace vllm {
namespace {

constexpr int kWarps = 8;
constexpr int kRings[] = {12, 10, 8, 6, 4};
constexpr int kGoodRing = 8;       // 64 KB a block: enough in flight for the memory's latency
constexpr int kMaxNormPasses = 2;  // every block reads all of x: beyond, a kernel apart is cheaper

// The tile height that spreads n over the SMs most evenly; the higher one of equals, as its sums are exchanged less
// often. But 2 groups twice beat 4 once by 5 to 12 % on an H200 (4096 x 4096, 4096 x 12288; 1 to 8 tokens).
int pick_row_groups(int n, int k, int sm_count) {
  const int groups = (n + 7) / 8;
  int best = 1, best_cost = 1 << 30;
  for (int r : {1, 2, 4, 6}) {
    const int tiles = (groups + r - 1) / r;
    const int cost = (tiles + sm_count - 1) / sm_count * r;
    if (cost <= best_cost) best = r, best_cost = cost;
  }
  return best == 4 && k >= 4096 ? 2 : best;
}

// The deepest ring, no deeper than the block's work, that leaves room for another block on the SM.
int pick_ring(const LinearDesc& desc, const LinearDevice& device, LinearConfig config) {
  const int limit = (device.shared_bytes + 1024) / 2 - 1024;
  const int tile_rows = 8 * config.row_groups, rounds = ((desc.n + tile_rows - 1) / tile_rows - 1) / config.grid + 1;
  const int64_t pieces = int64_t{(desc.k + 64 * kWarps - 1) / (64 * kWarps)} * config.row_groups * rounds;
  int best = 0;
  for (int ring : kRings) {
    config.ring_pieces = ring;
    const bool fits = stream_shared_bytes(config, desc.num_tokens, desc.k) <= limit;
    if (fits && (best == 0 || ring >= pieces)) best = ring;
  }
  return best;
}

}  // namespace

const char* to_string(LinearKind kind) {
  switch (kind) {
    case LinearKind::kSimt: return "simt";
    case LinearKind::kStream: return "stream";
    case LinearKind::kGemm: return "gemm";
    case LinearKind::kCublasLt: return "cublaslt";
  }
  return "";
}

int64_t token_bucket(int64_t num_tokens) {
  if (num_tokens <= 2) return std::max<int64_t>(num_tokens, 1);
  for (int64_t power = 4;; power *= 2) {
    if (power > 16 && num_tokens <= power / 4 * 3) return power / 4 * 3;
    if (num_tokens <= power) return power;
  }
}

int stream_shared_bytes(const LinearConfig& config, int num_tokens, int k) {
  const int ring = kWarps * config.ring_pieces * 1024;
  const int partial_sums = kWarps * config.row_groups * num_tokens * 8 * 4;
  const int x = config.staged_x ? num_tokens * ((k + 63) / 64 * 128 + 64) : 0;
  return ring + partial_sums + x;
}

void finish_stream_config(const LinearDesc& desc, const LinearDevice& device, LinearConfig& config) {
  const int tiles = (desc.n + 8 * config.row_groups - 1) / (8 * config.row_groups);
  config.kind = LinearKind::kStream;
  config.grid = std::min(tiles, device.sm_count);
  config.ring_pieces = pick_ring(desc, device, config);
  const int pass_tokens = desc.k <= 1024 ? 8 : desc.k <= 2048 ? 4 : 2;
  config.fused_norm = config.staged_x && desc.norm && desc.num_tokens <= kMaxNormPasses * pass_tokens;
}

LinearConfig pick_config(const LinearDesc& desc, const LinearDevice& device) {
  LinearConfig config;
  const bool half = desc.dtype == DType::kBFloat16 || desc.dtype == DType::kFloat16;
  if (desc.num_tokens > kMaxStreamTokens || !half || !desc.aligned_x) {
    if (desc.aligned_x && desc.aligned_out && device.cublaslt && desc.num_tokens > kMaxStreamTokens) {
      config.kind = LinearKind::kCublasLt;
    } else {
      config.kind = half && desc.aligned_x ? LinearKind::kGemm : LinearKind::kSimt;
    }
    return config;
  }
  config.row_groups = pick_row_groups(desc.n, desc.k, device.sm_count);
  LinearConfig staged = config;
  staged.staged_x = true;
  finish_stream_config(desc, device, config);
  finish_stream_config(desc, device, staged);
  return staged.ring_pieces >= std::min(kGoodRing, config.ring_pieces) ? staged : config;
}

}  // namespace vllm
