#pragma once
// Rotary position embedding, "neox" pairing: dimensions i and i + r/2 of a head turn together (Su et al. 2021,
// arXiv:2104.09864)
//
//   x[t, h, i]       = x[t, h, i] * cos[t, i] - x[t, h, i + r/2] * sin[t, i]
//   x[t, h, i + r/2] = x[t, h, i + r/2] * cos[t, i] + x[t, h, i] * sin[t, i]        0 <= i < r/2; the rest of a head
//   stays
//
// The interleaved pairing of Cohere and of GGUF's llama files is undone when weights are loaded
// (model/weights/convert.h).
#include <span>

#include "base/result.h"
#include "tensor/cpu_info.h"
#include "tensor/tensor_view.h"
#include "tensor/thread_pool.h"

namespace vllm {

struct RopeParams {
  TensorView<float, 3> x;          // [num_tokens, num_heads, head_dim], turned in place; heads of a token contiguous
  TensorView<const float, 2> cos;  // [num_tokens, r / 2], r <= head_dim
  TensorView<const float, 2> sin;  // [num_tokens, r / 2]
};

Status check(const RopeParams& p);
/// The definition: plain loops in double.
void rope_ref(const RopeParams& p);
void rope_cpu(const RopeParams& p, ThreadPool& pool, CpuIsa isa = cpu_isa());

/// Cosines and sines of positions: cos[t, i] = cos(positions[t] * inv_freq[i]) * scale, in double until the last
/// rounding. Made per step: a few microseconds a token, no table as long as the context.
struct RopeTableParams {
  TensorView<float, 2> cos;            // [num_tokens, r / 2]
  TensorView<float, 2> sin;            // [num_tokens, r / 2]
  std::span<const int32_t> positions;  // [num_tokens]
  std::span<const double> inv_freq;    // [r / 2] radians per position
  double scale = 1;                    // yarn's and longrope's attention factor
};
void rope_table(const RopeTableParams& p, ThreadPool& pool);

}  // namespace vllm
