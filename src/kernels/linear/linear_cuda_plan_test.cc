#include "kernels/linear/linear_cuda_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/linear/linear_cublaslt_ranks.h"

namespace vllm {
namespace {

TEST(LinearCudaPlan, FewTokensStreamTheWeight) {
  const LinearDevice h200;
  for (int tokens = 1; tokens <= 40; ++tokens) {
    const LinearConfig config = pick_config({.num_tokens = tokens, .n = 4104, .k = 4096}, h200);
    EXPECT_EQ(config.kind, tokens <= kMaxStreamTokens ? LinearKind::kStream : LinearKind::kWgmma) << tokens;
  }
  EXPECT_EQ(pick_config({.num_tokens = 2048, .n = 4096, .k = 4096}, h200).kind, LinearKind::kCublasLt);
  EXPECT_EQ(pick_config({.num_tokens = 1024, .n = 1000, .k = 1000}, h200).kind, LinearKind::kCublasLt);
  LinearDevice slim;
  slim.cublaslt = false;
  EXPECT_EQ(pick_config({.num_tokens = 2048, .n = 4096, .k = 4096}, slim).kind, LinearKind::kWgmma);
  slim.wgmma = false;
  EXPECT_EQ(pick_config({.num_tokens = 17, .n = 4096, .k = 4096}, slim).kind, LinearKind::kGemm);
  slim.cublaslt = true;
  EXPECT_EQ(pick_config({.num_tokens = 17, .n = 4096, .k = 4096}, slim).kind, LinearKind::kCublasLt);
  EXPECT_EQ(pick_config({.num_tokens = 64, .n = 64, .k = 64, .aligned_out = false}, slim).kind, LinearKind::kGemm);
  EXPECT_EQ(pick_config({.dtype = DType::kFloat32, .num_tokens = 4, .n = 64, .k = 64}, h200).kind, LinearKind::kSimt);
  EXPECT_EQ(pick_config({.dtype = DType::kFloat32, .num_tokens = 64, .n = 64, .k = 64}, h200).kind,
            LinearKind::kCublasLt);
  EXPECT_EQ(pick_config({.num_tokens = 4, .n = 64, .k = 64, .aligned_x = false}, h200).kind, LinearKind::kSimt);
  EXPECT_EQ(pick_config({.num_tokens = 64, .n = 64, .k = 64, .aligned_out = false}, h200).kind, LinearKind::kWgmma);
  const LinearConfig recorded = pick_config({.num_tokens = 60, .n = 24576, .k = 4096}, h200);
  EXPECT_EQ(recorded.tile_rows, 192);
  EXPECT_EQ(recorded.tile_tokens, 64);
  EXPECT_EQ(recorded.k_split, 2);
  EXPECT_EQ(pick_config({.num_tokens = 64, .n = 151936, .k = 1024}, h200).kind, LinearKind::kCublasLt);
}

TEST(LinearCudaPlan, ABatchInvariantOneIsTheSameForAllTokens) {
  for (int tokens : {1, 2, 16, 17, 64, 65, 2048}) {
    for (bool norm : {false, true}) {
      const LinearConfig half = batch_invariant_config({.num_tokens = tokens, .n = 4096, .k = 4096, .norm = norm});
      EXPECT_EQ(half, LinearConfig{.kind = LinearKind::kGemm}) << tokens;
      const LinearConfig whole =
          batch_invariant_config({.dtype = DType::kFloat32, .num_tokens = tokens, .n = 64, .k = 64, .norm = norm});
      EXPECT_EQ(whole, LinearConfig{.kind = LinearKind::kSimt}) << tokens;
    }
  }
}

TEST(LinearCudaPlan, TilesAreThoseThatWereMeasuredBest) {
  const LinearDevice h200;
  struct Case {
    int n, k, tokens, row_groups;
    bool staged;
  };
  for (Case c : {Case{4096, 1024, 2, 6, false},
                 {4096, 1024, 16, 4, false},
                 {6144, 1024, 8, 4, false},
                 {1024, 2048, 8, 1, false},
                 {1024, 3072, 8, 2, false},
                 {1024, 3072, 2, 1, false},
                 {6144, 4096, 1, 6, true},
                 {4096, 4096, 1, 4, true},
                 {4096, 12288, 4, 4, false},
                 {4096, 12288, 16, 4, false},
                 {24576, 4096, 4, 6, false},
                 {24576, 4096, 2, 6, true},
                 {2048, 2048, 2, 2, false},
                 {151936, 1024, 8, 6, true}}) {
    const LinearConfig config = pick_config({.num_tokens = c.tokens, .n = c.n, .k = c.k, .norm = true}, h200);
    const int rows = 8 * config.row_groups, tiles = (c.n + rows - 1) / rows;
    EXPECT_EQ(config.row_groups, c.row_groups) << c.n << " x " << c.k << ", " << c.tokens;
    EXPECT_EQ(config.staged_x, c.staged) << c.n << " x " << c.k << ", " << c.tokens;
    EXPECT_EQ(config.fused_norm, c.staged && c.tokens <= 2) << c.n << " x " << c.k << ", " << c.tokens;
    EXPECT_EQ(config.grid, std::min(tiles, h200.sm_count));
    EXPECT_EQ(config.alone, !c.staged || c.n > 65536);
  }
}

TEST(LinearCudaPlan, RanksAreThoseThatWereMeasuredBest) {
  const CublasLtShape gate_up{.n = 24576, .k = 4096, .num_tokens = 2048};
  EXPECT_EQ(recorded_rank(gate_up, 130100, 132), 4);
  EXPECT_EQ(recorded_rank(gate_up, 130200, 132), 0);
  EXPECT_EQ(recorded_rank(gate_up, 130100, 114), 0);
  CublasLtShape other = gate_up;
  other.num_tokens = 512;
  EXPECT_EQ(recorded_rank(other, 130100, 132), 0);
  other = gate_up, other.dtype = DType::kFloat32;
  EXPECT_EQ(recorded_rank(other, 130100, 132), 0);
}

TEST(LinearCudaPlan, SharedMemoryFits) {
  const LinearDevice h200;
  for (int tokens = 1; tokens <= kMaxStreamTokens; ++tokens) {
    for (int n : {1, 7, 64, 1000, 4096, 6144, 200000}) {
      for (int k : {8, 64, 1000, 4096, 12288, 65536}) {
        const LinearConfig c = pick_config({.num_tokens = tokens, .n = n, .k = k, .norm = true}, h200);
        if (c.kind == LinearKind::kGemv) {
          EXPECT_EQ(tokens, 1);
          EXPECT_LE(k, 3072);
          continue;
        }
        ASSERT_EQ(c.kind, LinearKind::kStream);
        EXPECT_LE(stream_shared_bytes(c.row_groups, tokens > 8 ? 2 : 1, c.staged_x, tokens, k), h200.shared_bytes);
        EXPECT_FALSE(c.staged_x && tokens > 8);
        EXPECT_FALSE(c.fused_norm && !c.staged_x);
        EXPECT_GE(c.grid, 1);
      }
    }
  }
}

TEST(LinearCudaPlan, TilesOfManyTokensFit) {
  LinearDevice device;
  for (bool cublaslt : {false, true}) {
    device.cublaslt = cublaslt;
    for (int tokens : {17, 24, 25, 40, 64, 65, 100, 128, 129, 256, 300, 2048}) {
      for (int n : {1, 7, 64, 1000, 1024, 4096, 6144, 24576, 151936}) {
        for (int k : {8, 64, 72, 1000, 1024, 2048, 3072, 4096, 12288, 65536}) {
          const LinearConfig c = pick_config({.num_tokens = tokens, .n = n, .k = k}, device);
          if (c.kind == LinearKind::kCublasLt) {
            EXPECT_TRUE(cublaslt);
            continue;
          }
          ASSERT_EQ(c.kind, LinearKind::kWgmma);
          const int units = (k + kWgmmaUnit - 1) / kWgmmaUnit, size = c.k_split * c.share;
          EXPECT_LE(wgmma_shared_bytes(c.tile_rows, c.tile_tokens, c.stages), device.shared_bytes);
          EXPECT_LE(c.k_split, units);
          EXPECT_LE(size, 8);
          EXPECT_EQ(c.grid, (n + c.tile_rows * c.share - 1) / (c.tile_rows * c.share) * size);
          EXPECT_TRUE(c.share == 1 || c.tile_tokens % (8 * c.share) == 0);
          EXPECT_NE(std::find(std::begin(kWgmmaTokens), std::end(kWgmmaTokens), c.tile_tokens), std::end(kWgmmaTokens));
          EXPECT_GE(c.stages, 1);
          EXPECT_LE(c.stages, 32);
        }
      }
    }
  }
}

TEST(LinearCudaPlan, Buckets) {
  const int64_t expected[][2] = {{0, 1},      {1, 1},       {2, 2},       {3, 4},       {5, 8},
                                 {9, 16},     {16, 16},     {17, 24},     {24, 24},     {25, 32},
                                 {33, 48},    {49, 64},     {65, 96},     {100, 128},   {129, 192},
                                 {193, 256},  {257, 320},   {385, 448},   {512, 512},   {513, 640},
                                 {900, 1024}, {1025, 1280}, {1793, 2048}, {2048, 2048}, {2049, 3072}};
  for (auto [tokens, bucket] : expected) EXPECT_EQ(token_bucket(tokens), bucket) << tokens;
}

TEST(LinearCudaPlan, GatedRowsAreNeighbours) {
  EXPECT_EQ(gated_row(0, false, 8), 0);
  EXPECT_EQ(gated_row(0, true, 8), 1);
  EXPECT_EQ(gated_row(7, true, 8), 15);
}

}  // namespace
}  // namespace vllm
