#pragma once
// What the streaming kernel is told.
#include "kernels/linear/linear_epilogue.cuh"

namespace vllm::linear_cuda_impl {

inline constexpr int kStreamWarps = 8, kStreamThreads = 32 * kStreamWarps;
inline constexpr int kUnit = 64;       // k that a warp takes at a time: one cache line of each row
inline constexpr int kPiece = 1024;    // bytes: 8 weight rows of a unit
inline constexpr int kTraceMarks = 4;  // begin, x is there, sums are there, end

struct StreamArgs {
  const void* weight;
  const void* x;
  int64_t x_stride;
  const float* norm_weight;  // or nullptr
  float norm_eps;
  int num_tokens, n, k;
  int ring_pieces;
  Epilogue epilogue;
  long long* trace = nullptr;  // [grid][kTraceMarks] clocks of the block's SM, and its number; for the benchmark
};

}  // namespace vllm::linear_cuda_impl
