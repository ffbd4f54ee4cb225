#include "model/config_check.h"

#include <cmath>

#include "model/rope_config.h"

namespace vllm::model {
namespace {

Status check_rope(const RopeConfig& rope, int head_dim) {
  const int turned = rotary_dim(rope, head_dim);
  if (turned < 4)
    return invalid_argument("partial_rotary_factor {} of head_dim {} leaves nothing to turn",
                            rope.partial_rotary_factor, head_dim);
  if (!(rope.theta >= 1e-3 && rope.theta <= 1e15))
    return invalid_argument("rope_theta is {}, expected 0.001 to 1e15", rope.theta);
  size_t half = static_cast<size_t>(turned / 2);
  if (rope.type == RopeType::kLongRope && (rope.short_factor.size() != half || rope.long_factor.size() != half)) {
    return invalid_argument("short_factor and long_factor have {} and {} values, expected {}", rope.short_factor.size(),
                            rope.long_factor.size(), half);
  }
  if (!rope.freq_factors.empty() && rope.freq_factors.size() != half) {
    return invalid_argument("rope_freqs.weight has {} values, expected {}", rope.freq_factors.size(), half);
  }
  for (float f : rope.freq_factors) {
    if (!(f > 0) || !std::isfinite(f))
      return invalid_argument("rope_freqs.weight holds {}, expected values above 0", f);
  }
  return {};
}

}  // namespace

Status check_config(const ModelConfig& c) {
  if (c.num_heads % c.num_kv_heads != 0) {
    return invalid_argument("num_attention_heads {} is no multiple of num_key_value_heads {}", c.num_heads,
                            c.num_kv_heads);
  }
  if (c.num_heads / c.num_kv_heads > 256) {
    return invalid_argument("{} query heads share a KV head, expected at most 256", c.num_heads / c.num_kv_heads);
  }
  if (c.head_dim % 8 != 0)
    return error(ErrorCode::kUnimplemented, "head_dim {} is not built (multiples of 8 are)", c.head_dim);
  if (!(c.norm_eps >= 0 && c.norm_eps <= 1)) return invalid_argument("rms_norm_eps is {}, expected 0 to 1", c.norm_eps);
  if (c.max_position < 1 || c.max_position > kMaxPositions) {
    return invalid_argument("max_position_embeddings with its rope scaling comes to {}, expected 1 to {}",
                            c.max_position, kMaxPositions);
  }
  if (c.position == PositionType::kLearned) return {};
  RETURN_IF_ERROR(check_rope(c.rope, c.head_dim));
  RETURN_IF_ERROR(check_rope(c.rope_local, c.head_dim));
  if (c.interleaved_qk && rotary_dim(c.rope, c.head_dim) != c.head_dim) {
    return error(ErrorCode::kUnimplemented, "interleaved rotary order with {} of {} dimensions turned is not built",
                 rotary_dim(c.rope, c.head_dim), c.head_dim);
  }
  return {};
}

}  // namespace vllm::model
