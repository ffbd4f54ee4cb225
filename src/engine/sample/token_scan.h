#pragma once
// The two passes of sampling over a whole vocabulary, per ISA. The result is that of the plain loops, to the bit.
#include <cstdint>

namespace vllm::engine {

/// Tokens [first, first + count) of a row; first is a multiple of 4.
struct TokenScan {
  const float* logits;  // of token 0
  int32_t first, count;
  float inverse_temperature;
  float best_score;  // of the tokens seen so far: what a token must reach
  uint64_t seed;
  int64_t position;
};

struct TokenScanKernels {
  /// The largest of n numbers; NaN counts as minus infinity.
  float (*largest)(const float* logits, int64_t n);
  /// The ids that may score best_score or more with their Gumbel numbers, rising, into ids (room for count): all that
  /// do, and few others. Returns how many.
  int32_t (*contenders)(const TokenScan& scan, int32_t* ids);
};
const TokenScanKernels& token_scan_generic();
const TokenScanKernels& token_scan_avx2();
const TokenScanKernels& token_scan_avx512();
const TokenScanKernels& token_scan_neon();
/// What this machine has (and VLLM_CPU_ISA allows).
const TokenScanKernels& token_scan();

}  // namespace vllm::engine
