#include "kernels/linear/linear_cuda_plan.h"

#include <algorithm>

namespace vllm {
namespace {

constexpr int kWarps = 8;
constexpr int kMaxStagedBytes = 48 << 10;  // of x: more takes the room of the next kernel's prefetch
constexpr int kMaxFusedNormTokens = 4;     // every block reads all of x: beyond, a kernel apart is cheaper

// The tile height that spreads n over the SMs most evenly; the higher one of equals, as it reads x less often.
int pick_row_groups(int n, int sm_count) {
  const int groups = (n + 7) / 8;
  int best = 1, best_cost = 1 << 30;
  for (int r : {1, 2, 3, 4, 6}) {
    const int tiles = (groups + r - 1) / r;
    const int cost = (tiles + sm_count - 1) / sm_count * r;
    if (cost <= best_cost) best = r, best_cost = cost;
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

int stream_shared_bytes(int row_groups, int token_halves, bool staged_x, int num_tokens, int k) {
  const int units = stream_units_in_flight(row_groups, token_halves, staged_x);
  const int ring = kWarps * units * (row_groups + (staged_x ? 0 : token_halves)) * 1024;
  const int partial_sums = kWarps * row_groups * token_halves * 64 * 4;
  const int x = staged_x ? num_tokens * ((k + 63) / 64 * 128 + 64) : 0;
  return ring + partial_sums + x;
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
  config.kind = LinearKind::kStream;
  config.row_groups = pick_row_groups(desc.n, device.sm_count);
  const int64_t x_bytes = int64_t{desc.num_tokens} * ((desc.k + 63) / 64 * 128 + 64);
  config.staged_x = desc.num_tokens <= 8 && x_bytes <= kMaxStagedBytes;
  if (config.staged_x) {
    const int shared = stream_shared_bytes(config.row_groups, 1, true, desc.num_tokens, desc.k);
    config.staged_x = shared <= device.shared_bytes;
    config.fused_norm = config.staged_x && desc.norm && desc.num_tokens <= kMaxFusedNormTokens;
  }
  const int tiles = (desc.n + 8 * config.row_groups - 1) / (8 * config.row_groups);
  config.grid = std::min(tiles, device.sm_count);
  return config;
}

}  // namespace vllm
