// The frequencies of each rope type.
#include <algorithm>
#include <cmath>

#include "model/rope_config.h"

namespace vllm::model {
namespace {

double yarn_mscale(double factor, double mscale) { return factor <= 1 ? 1 : 0.1 * mscale * std::log(factor) + 1; }

// YaRN (Peng et al. 2023, arXiv:2309.00071): fast dimensions keep their frequency, slow ones are interpolated, a ramp
// between.
RopeFrequencies yarn(const RopeConfig& rope, const std::vector<double>& base, int turned) {
  auto dimension_of = [&](double rotations) {
    return turned * std::log(static_cast<double>(rope.original_max_position) / (rotations * 2 * M_PI)) /
           (2 * std::log(rope.theta));
  };
  double low = dimension_of(rope.beta_fast), high = dimension_of(rope.beta_slow);
  if (rope.truncate) low = std::floor(low), high = std::ceil(high);
  low = std::max(low, 0.0), high = std::min(high, turned - 1.0);
  if (low == high) high += 0.001;
  RopeFrequencies out;
  for (size_t i = 0; i < base.size(); ++i) {
    double slow = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    out.inv_freq.push_back(base[i] / rope.factor * slow + base[i] * (1 - slow));
  }
  bool both = rope.mscale > 0 && rope.mscale_all_dim > 0;
  out.scale = rope.attention_factor > 0 ? rope.attention_factor
              : both ? yarn_mscale(rope.factor, rope.mscale) / yarn_mscale(rope.factor, rope.mscale_all_dim)
                     : yarn_mscale(rope.factor, 1);
  return out;
}

// Llama 3.1: wavelengths beyond the original context are stretched, short ones kept, those between blended.
void llama3(const RopeConfig& rope, std::vector<double>& inv_freq) {
  double context = static_cast<double>(rope.original_max_position);
  for (double& f : inv_freq) {
    double rotations = context * f / (2 * M_PI);  // within the original context
    double keep =
        std::clamp((rotations - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor), 0.0, 1.0);
    f = (1 - keep) * f / rope.factor + keep * f;
  }
}

}  // namespace

int rotary_dim(const RopeConfig& rope, int head_dim) {
  return static_cast<int>(head_dim * rope.partial_rotary_factor + 1e-6) / 2 * 2;
}

RopeFrequencies rope_frequencies(const RopeConfig& rope, int head_dim, int64_t max_model_len) {
  const int turned = rotary_dim(rope, head_dim);
  double theta = rope.theta;
  if (rope.type == RopeType::kDynamic) {
    // factor * length / max_position at the full stretched length, which is factor * max_position.
    const double alpha = rope.alpha > 0 ? rope.alpha : rope.factor * rope.factor - (rope.factor - 1);
    theta *= std::pow(alpha, turned / (turned - 2.0));
  }
  if (rope.type == RopeType::kQwenNtk) {
    // The rule of modeling_qwen.py for a prompt of max_model_len tokens.
    const double times = static_cast<double>(max_model_len) / static_cast<double>(rope.original_max_position);
    const double alpha = std::exp2(std::ceil(std::log2(times) + 1)) - 1;
    theta *= std::pow(std::max(alpha, 1.0), turned / (turned - 2.0));
  }
  std::vector<double> inv_freq;
  for (int i = 0; i < turned; i += 2) inv_freq.push_back(1 / std::pow(theta, static_cast<double>(i) / turned));
  for (size_t i = 0; i < std::min(inv_freq.size(), rope.freq_factors.size()); ++i)
    inv_freq[i] /= double{rope.freq_factors[i]};
  RopeFrequencies out;
  switch (rope.type) {
    case RopeType::kYarn: return yarn(rope, inv_freq, turned);
    case RopeType::kLlama3: llama3(rope, inv_freq); break;
    case RopeType::kLinear:
      for (double& f : inv_freq) f /= rope.factor;
      break;
    case RopeType::kLongRope: {
      const auto& factors = max_model_len > rope.original_max_position ? rope.long_factor : rope.short_factor;
      for (size_t i = 0; i < std::min(inv_freq.size(), factors.size()); ++i) inv_freq[i] /= factors[i];
      out.scale =
          rope.attention_factor > 0 ? rope.attention_factor
          : rope.factor <= 1
              ? 1
              : std::sqrt(1 + std::log(rope.factor) / std::log(static_cast<double>(rope.original_max_position)));
      break;
    }
    case RopeType::kDefault:
    case RopeType::kQwenNtk:
    case RopeType::kDynamic: break;
  }
  out.inv_freq = std::move(inv_freq);
  return out;
}

}  // namespace vllm::model
