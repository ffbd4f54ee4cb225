#pragma once
// How far a kernel may be from its reference, per output element, and why. One place for all ops.
#include <cmath>
#include <cstdint>

namespace vllm::testing {

/// A sum of `k` products in float32: every addition rounds by at most 2^-24 of the running sum, which never exceeds
/// sum_abs = sum |x * w|. The bound k * 2^-24 * sum_abs is never met by roundings of random sign; sqrt(k) of them times
/// 4 is.
inline double float_sum_tolerance(int64_t k, double sum_abs) {
  return 4 * std::sqrt(static_cast<double>(k) + 1) * 0x1p-24 * sum_abs;
}

/// x rounded to bfloat16 moves each product by at most 2^-9 of itself. Random signs: sqrt(sum of squares), times 5 for
/// the largest of some thousand elements. sum_squares = sum (x * w)^2.
inline double bfloat16_input_tolerance(double sum_squares) { return 5 * 0x1p-9 * std::sqrt(sum_squares); }

/// x quantized to int8 with scale absmax / 127 in blocks of 32: each x is off by at most half a scale, uniformly, so by
/// scale / sqrt(12) in the mean square. noise = sqrt(sum (scale * w)^2); 6 deviations for the largest of many.
inline double int8_input_tolerance(double noise) { return 6 / std::sqrt(12.0) * noise; }

}  // namespace vllm::testing
