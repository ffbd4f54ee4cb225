// How layers are grouped onto pages of the KV pool.
#include <algorithm>

#include "kernels/kv_layout/kv_scales.h"
#include "model/kv_groups.h"

namespace vllm::model {

int64_t KvCacheSpec::bytes_per_block(int block_size) const {
  size_t layers = 0;
  for (const KvGroup& group : groups) layers = std::max(layers, group.layers.size());
  int64_t area = int64_t{num_kv_heads} * head_dim * block_size * info(dtype).block_bytes;
  area += kv_scale_bytes(dtype, num_kv_heads, block_size);
  return (2 * static_cast<int64_t>(layers) * area + 63) / 64 * 64;
}

KvCacheSpec make_kv_spec(const ModelConfig& config, DType dtype) {
  KvCacheSpec spec{.groups = {}, .num_kv_heads = config.num_kv_heads, .head_dim = config.head_dim, .dtype = dtype};
  std::vector<int> full, sliding;
  for (int i = 0; i < config.num_layers; ++i)
    (config.layer_is_sliding[static_cast<size_t>(i)] ? sliding : full).push_back(i);
  // Equal groups waste least; at most 8 or so of the larger kind, since each group costs a block table per sequence.
  size_t small = std::min(full.size(), sliding.size()), large = std::max(full.size(), sliding.size());
  size_t size = small == 0 || large * 4 < small * 5 ? large : std::max(small, (large + 7) / 8);
  auto cut = [&](const std::vector<int>& layers, int64_t window) {
    for (size_t i = 0; i < layers.size(); i += size) {
      auto begin = layers.begin() + static_cast<std::ptrdiff_t>(i);
      spec.groups.push_back({{begin, begin + static_cast<std::ptrdiff_t>(std::min(size, layers.size() - i))}, window});
    }
  };
  cut(full, 0);
  cut(sliding, config.sliding_window);
  return spec;
}

}  // namespace vllm::model
