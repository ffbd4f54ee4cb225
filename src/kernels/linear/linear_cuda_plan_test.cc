#include "kernels/linear/linear_cuda_plan.h"

#include <gtest/gtest.h>

namespace vllm {
namespace {

TEST(LinearCudaPlan, FewTokensStreamTheWeight) {
  const LinearDevice h200;
  for (int tokens = 1; tokens <= 40; ++tokens) {
    const LinearConfig config = pick_config({.num_tokens = tokens, .n = 4096, .k = 4096}, h200);
    EXPECT_EQ(config.kind, tokens <= kMaxStreamTokens ? LinearKind::kStream : LinearKind::kCublasLt) << tokens;
  }
  LinearDevice slim;
  slim.cublaslt = false;
  EXPECT_EQ(pick_config({.num_tokens = 17, .n = 4096, .k = 4096}, slim).kind, LinearKind::kGemm);
  EXPECT_EQ(pick_config({.dtype = DType::kFloat32, .num_tokens = 4, .n = 64, .k = 64}, h200).kind, LinearKind::kSimt);
  EXPECT_EQ(pick_config({.dtype = DType::kFloat32, .num_tokens = 64, .n = 64, .k = 64}, h200).kind,
            LinearKind::kCublasLt);
  EXPECT_EQ(pick_config({.num_tokens = 4, .n = 64, .k = 64, .aligned_x = false}, h200).kind, LinearKind::kSimt);
  EXPECT_EQ(pick_config({.num_tokens = 64, .n = 64, .k = 64, .aligned_out = false}, h200).kind, LinearKind::kGemm);
}

TEST(LinearCudaPlan, TilesSpreadOverTheSms) {
  const LinearDevice h200;
  struct Shape {
    int n, k;
  };
  // Every linear of Qwen3 0.6B and 8B: at least 96 % of the SMs' time has work.
  for (Shape s : {Shape{6144, 4096},
                  {4096, 4096},
                  {24576, 4096},
                  {4096, 12288},
                  {151936, 4096},
                  {4096, 1024},
                  {1024, 2048},
                  {6144, 1024},
                  {1024, 3072},
                  {151936, 1024}}) {
    const LinearConfig config = pick_config({.num_tokens = 1, .n = s.n, .k = s.k, .norm = true}, h200);
    const int rows = 8 * config.row_groups, tiles = (s.n + rows - 1) / rows;
    const int rounds = (tiles + h200.sm_count - 1) / h200.sm_count;
    EXPECT_GE(static_cast<double>(s.n) / (rounds * rows * h200.sm_count), 0.96) << s.n << " x " << s.k;
    EXPECT_LE(config.grid, h200.sm_count);
    EXPECT_EQ(config.grid, std::min(tiles, h200.sm_count));
    EXPECT_TRUE(config.fused_norm) << s.n << " x " << s.k;
  }
}

TEST(LinearCudaPlan, SharedMemoryFits) {
  const LinearDevice h200;
  for (int tokens = 1; tokens <= kMaxStreamTokens; ++tokens) {
    for (int n : {1, 7, 64, 1000, 4096, 6144, 200000}) {
      for (int k : {8, 64, 1000, 4096, 12288, 65536}) {
        const LinearConfig c = pick_config({.num_tokens = tokens, .n = n, .k = k, .norm = true}, h200);
        ASSERT_EQ(c.kind, LinearKind::kStream);
        EXPECT_LE(2 * stream_shared_bytes(c, tokens, k), h200.shared_bytes - 1024);  // two on an SM
        EXPECT_GE(c.ring_pieces, 4);
        EXPECT_FALSE(c.fused_norm && !c.staged_x);
        EXPECT_GE(c.grid, 1);
      }
    }
  }
}

TEST(LinearCudaPlan, TheRingIsNoDeeperThanTheWork) {
  const LinearDevice h200;
  EXPECT_EQ(pick_config({.num_tokens = 1, .n = 1024, .k = 2048}, h200).ring_pieces, 4);
  EXPECT_EQ(pick_config({.num_tokens = 1, .n = 1024, .k = 3072}, h200).ring_pieces, 6);
  EXPECT_EQ(pick_config({.num_tokens = 1, .n = 24576, .k = 4096}, h200).ring_pieces, 12);
}

TEST(LinearCudaPlan, Buckets) {
  const int64_t expected[][2] = {{0, 1},       {1, 1},       {2, 2},       {3, 4},      {5, 8},     {9, 16},
                                 {16, 16},     {17, 24},     {24, 24},     {25, 32},    {33, 48},   {49, 64},
                                 {65, 96},     {100, 128},   {129, 192},   {193, 256},  {257, 384}, {513, 768},
                                 {1025, 1536}, {1537, 2048}, {2049, 3072}, {2048, 2048}};
  for (auto [tokens, bucket] : expected) EXPECT_EQ(token_bucket(tokens), bucket) << tokens;
}

TEST(LinearCudaPlan, GatedRowsAreNeighbours) {
  EXPECT_EQ(gated_row(0, false, 8), 0);
  EXPECT_EQ(gated_row(0, true, 8), 1);
  EXPECT_EQ(gated_row(7, true, 8), 15);
}

}  // namespace
}  // namespace vllm
