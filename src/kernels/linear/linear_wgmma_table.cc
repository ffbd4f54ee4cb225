#include "kernels/linear/linear_wgmma_table.h"

#include <algorithm>

namespace vllm {
namespace {

// Up to `max_tokens` tokens; tile_rows 0: cuBLASLt. 2026-11-21, `linear_cuda_bench --wgmma`, layers back to back, norms
// included, with these cuts and all by cuBLASLt, microseconds of a layer:
//   tokens       24           32           48           64           96
//   0.6B    21.1, 28.3   22.4, 28.6   23.5, 29.7   26.4, 30.2   29.5, 31.3
//   8B     106.2, 110   106.7, 113.8 114.3, 115.2 115.2, 116.6 121.4, 122.7
struct Row {
  int n, k, max_tokens, tile_rows, tile_tokens, k_split, share, blocks_per_sm;
};
constexpr int kAny = 1 << 30;
constexpr Row kRows[] = {
    {4096, 1024, 24, 64, 24, 3, 1, 2},  // 0.6b qkv
    {4096, 1024, 32, 64, 32, 2, 1, 2},   {4096, 1024, 48, 64, 48, 2, 1, 2},
    {4096, 1024, 64, 64, 64, 2, 1, 2},   {4096, 1024, 96, 64, 96, 3, 1, 2},
    {4096, 1024, kAny, 0, 0, 0, 0, 0},   {1024, 2048, 24, 64, 24, 8, 1, 2},  // 0.6b o
    {1024, 2048, 32, 64, 32, 8, 1, 1},   {1024, 2048, 48, 64, 48, 6, 1, 1},
    {1024, 2048, 64, 64, 64, 6, 1, 2},   {1024, 2048, 96, 64, 96, 6, 1, 1},
    {1024, 2048, kAny, 0, 0, 0, 0, 0},   {6144, 1024, 24, 64, 24, 3, 1, 2},  // 0.6b gate_up
    {6144, 1024, 32, 64, 32, 2, 1, 2},   {6144, 1024, 48, 64, 48, 2, 1, 2},
    {6144, 1024, 64, 64, 64, 2, 1, 2},   {6144, 1024, 96, 128, 96, 4, 1, 2},
    {6144, 1024, kAny, 0, 0, 0, 0, 0},   {1024, 3072, 24, 64, 24, 6, 1, 2},  // 0.6b down
    {1024, 3072, 32, 64, 32, 6, 1, 2},   {1024, 3072, 48, 64, 48, 6, 1, 1},
    {1024, 3072, 64, 64, 64, 8, 1, 1},   {1024, 3072, 96, 64, 96, 6, 1, 1},
    {1024, 3072, kAny, 0, 0, 0, 0, 0},   {151936, 1024, kAny, 0, 0, 0, 0, 0},  // 0.6b head
    {6144, 4096, 24, 128, 24, 4, 1, 2},                                        // 8b qkv
    {6144, 4096, 32, 128, 32, 4, 1, 2},  {6144, 4096, 48, 128, 48, 4, 1, 2},
    {6144, 4096, 64, 128, 64, 4, 1, 2},  {6144, 4096, 96, 64, 96, 2, 1, 2},
    {6144, 4096, kAny, 0, 0, 0, 0, 0},   {4096, 4096, 24, 64, 24, 3, 1, 2},  // 8b o
    {4096, 4096, 32, 64, 32, 3, 1, 2},   {4096, 4096, 48, 0, 0, 0, 0, 0},
    {4096, 4096, 64, 64, 64, 3, 1, 2},   {4096, 4096, 96, 64, 96, 3, 1, 2},
    {4096, 4096, kAny, 0, 0, 0, 0, 0},   {24576, 4096, 24, 192, 24, 1, 1, 1},  // 8b gate_up
    {24576, 4096, 32, 192, 32, 2, 1, 2}, {24576, 4096, 48, 192, 48, 1, 1, 1},
    {24576, 4096, 64, 192, 64, 2, 1, 2}, {24576, 4096, 96, 192, 96, 1, 1, 1},
    {24576, 4096, kAny, 0, 0, 0, 0, 0},  {4096, 12288, 24, 64, 24, 2, 1, 1},  // 8b down
    {4096, 12288, 32, 64, 32, 2, 1, 1},  {4096, 12288, 48, 128, 48, 6, 1, 2},
    {4096, 12288, 64, 128, 64, 3, 2, 1}, {4096, 12288, 96, 64, 96, 2, 1, 1},
    {4096, 12288, kAny, 0, 0, 0, 0, 0},  {151936, 4096, 24, 64, 24, 1, 1, 2},  // 8b head
    {151936, 4096, kAny, 0, 0, 0, 0, 0},
};
constexpr int kRecordedSms = 132;
constexpr int kMaxRuleTokens = 48;  // of shapes that nobody measured; above, the library

const Row* recorded(const LinearDesc& desc, int sm_count) {
  if (sm_count != kRecordedSms) return nullptr;
  for (const Row& row : kRows) {
    if (row.n == desc.n && row.k == desc.k && desc.num_tokens <= row.max_tokens) return &row;
  }
  return nullptr;
}

// Tiles of 128 rows, of 64 where n is small; as many parts of k as it takes to give most SMs a block.
LinearConfig rule(const LinearDesc& desc, const LinearDevice& device) {
  LinearConfig best{.kind = LinearKind::kWgmma};
  best.tile_tokens = 96;
  for (int tokens : kWgmmaTokens) {
    if (tokens >= desc.num_tokens) {
      best.tile_tokens = tokens;
      break;
    }
  }
  const int token_tiles = (desc.num_tokens + best.tile_tokens - 1) / best.tile_tokens;
  for (int rows : {128, 64}) {
    for (int k_split : {1, 2, 4, 8}) {
      LinearConfig config = best;
      config.tile_rows = rows, config.k_split = k_split;
      if (!finish_wgmma(desc, device, config)) break;
      best = config;
      if (best.grid * token_tiles * 4 >= device.sm_count * 3) return best;
    }
  }
  return best;
}

}  // namespace

LinearConfig pick_many_tokens(const LinearDesc& desc, const LinearDevice& device) {
  const bool library = desc.aligned_out && device.cublaslt;
  if (device.wgmma) {
    const Row* row = recorded(desc, device.sm_count);
    if (row != nullptr && row->tile_rows > 0) {
      LinearConfig config{.kind = LinearKind::kWgmma};
      config.k_split = row->k_split, config.tile_rows = row->tile_rows, config.tile_tokens = row->tile_tokens;
      config.share = row->share, config.blocks_per_sm = row->blocks_per_sm;
      if (finish_wgmma(desc, device, config)) return config;
    }
    if (!library || (row == nullptr && desc.num_tokens <= kMaxRuleTokens)) return rule(desc, device);
  }
  return {.kind = library ? LinearKind::kCublasLt : LinearKind::kGemm};
}

}  // namespace vllm
