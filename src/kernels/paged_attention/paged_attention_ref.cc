#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/kv_layout/kv_float8.h"
#include "kernels/kv_layout/kv_scales.h"
#include "kernels/paged_attention/paged_attention.h"

namespace vllm {
namespace {

double element(const std::byte* p, DType dtype, int64_t i) {
  if (dtype == DType::kBFloat16) return to_float(reinterpret_cast<const BFloat16*>(p)[i]);
  if (dtype == DType::kFloat16) return to_float(reinterpret_cast<const Float16*>(p)[i]);
  if (dtype == kKvFloat8) return float8_to_float(reinterpret_cast<const uint8_t*>(p)[i]);
  if (dtype == kKvInt8) return reinterpret_cast<const int8_t*>(p)[i];
  return reinterpret_cast<const float*>(p)[i];
}

double scale(const KvLayerView& kv, const float* scales, int64_t position) {
  return kv.dtype == kKvInt8 ? scales[position % kv.block_size] : 1.0;
}

}  // namespace

void paged_attention_ref(const PagedAttentionParams& p) {
  const KvLayerView& kv = p.kv;
  int64_t num_heads = p.q.size(1), group = num_heads / kv.num_kv_heads;
  std::vector<double> scores;
  for (size_t s = 0; s < p.seq_lens.size(); ++s) {
    for (int32_t t = p.query_start[s]; t < p.query_start[s + 1]; ++t) {
      int64_t position = p.seq_lens[s] - (p.query_start[s + 1] - t);
      int64_t first = p.sliding_window > 0 ? std::max<int64_t>(0, position - p.sliding_window + 1) : 0;
      for (int64_t h = 0; h < num_heads; ++h) {
        double highest = -INFINITY, total = 0;
        scores.assign(static_cast<size_t>(position - first + 1), 0);
        auto block = [&](int64_t j) { return int64_t{p.block_table(static_cast<int64_t>(s), j / kv.block_size)}; };
        for (int64_t j = first; j <= position; ++j) {
          const std::byte* k = kv.k_head(block(j), h / group);
          double dot = 0;
          for (int64_t d = 0; d < kv.head_dim; ++d) {
            dot += double{p.q(t, h, d)} * element(k, kv.dtype, d * kv.block_size + j % kv.block_size);
          }
          dot *= double{p.scale} * scale(kv, k_scales(kv, block(j), h / group), j);
          if (p.softcap > 0) dot = double{p.softcap} * std::tanh(dot / double{p.softcap});
          scores[static_cast<size_t>(j - first)] = dot;
          highest = std::max(highest, dot);
        }
        for (double& score : scores) total += score = std::exp(score - highest);
        for (int64_t d = 0; d < kv.head_dim; ++d) {
          double sum = 0;
          for (int64_t j = first; j <= position; ++j) {
            const std::byte* v = kv.v_head(block(j), h / group);
            sum += scores[static_cast<size_t>(j - first)] * scale(kv, v_scales(kv, block(j), h / group), j) *
                   element(v, kv.dtype, j % kv.block_size * kv.head_dim + d);
          }
          p.out(t, h, d) = static_cast<float>(sum / total);
        }
      }
    }
  }
}

}  // namespace vllm
