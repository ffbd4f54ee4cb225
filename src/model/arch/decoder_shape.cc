#include "model/arch/decoder_shape.h"

#include <algorithm>
#include <cmath>

#include "kernels/kv_layout/kv_scales.h"
#include "model/kv_groups.h"

namespace vllm::model {

DecoderShape decoder_shape(const ModelConfig& config, const LoadOptions& options) {
  DecoderShape shape{
      .kv_spec = make_kv_spec(config, options.kv_dtype), .places = {}, .rope = {}, .rope_local = {}, .layer_turns = {}};
  shape.places.resize(static_cast<size_t>(config.num_layers));
  for (size_t g = 0; g < shape.kv_spec.groups.size(); ++g) {
    const auto& layers = shape.kv_spec.groups[g].layers;
    for (size_t i = 0; i < layers.size(); ++i)
      shape.places[static_cast<size_t>(layers[i])] = {static_cast<int>(g), static_cast<int>(i)};
  }
  int64_t max_model_len = options.max_model_len > 0 ? options.max_model_len : config.max_position;
  if (config.position == PositionType::kRope) {
    shape.rope = rope_frequencies(config.rope, config.head_dim, max_model_len);
    shape.rope_local = rope_frequencies(config.rope_local, config.head_dim, max_model_len);
  }
  for (bool sliding : config.layer_is_sliding) {
    shape.layer_turns.push_back(config.position == PositionType::kRope && (sliding || !config.rope_on_sliding_only));
  }
  bool any_sliding =
      std::find(config.layer_is_sliding.begin(), config.layer_is_sliding.end(), true) != config.layer_is_sliding.end();
  shape.has_local_rope =
      any_sliding && (shape.rope.inv_freq != shape.rope_local.inv_freq || shape.rope.scale != shape.rope_local.scale);
  shape.attention_scale = static_cast<float>(
      config.attention_scale > 0 ? config.attention_scale : 1 / std::sqrt(static_cast<double>(config.head_dim)));
  return shape;
}

KvLayerView DecoderShape::kv_layer(int layer, const KvCacheView& kv) const {
  KvLayerView view{.base = kv.base, .num_blocks = kv.num_blocks, .page_bytes = kv_spec.bytes_per_block(kv.block_size)};
  view.block_size = kv.block_size, view.num_kv_heads = kv_spec.num_kv_heads, view.head_dim = kv_spec.head_dim;
  view.dtype = kv_spec.dtype;
  view.k_offset = kv_layer_bytes(view) * places[static_cast<size_t>(layer)].index;
  view.v_offset = view.k_offset + view.area_bytes();
  return view;
}

}  // namespace vllm::model
