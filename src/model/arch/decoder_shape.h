#pragma once
// What every decoder, on the CPU or a GPU, derives from a config before its first step.
#include <vector>

#include "kernels/kv_layout/kv_layout.h"
#include "model/model.h"
#include "model/rope_config.h"

namespace vllm::model {

struct DecoderShape {
  struct Place {
    int group = 0, index = 0;  // the layer is the index-th of its group's page
  };
  KvCacheSpec kv_spec;
  std::vector<Place> places;  // [num_layers]
  RopeFrequencies rope, rope_local;
  bool has_local_rope = false;    // sliding layers turn by rope_local, which differs
  std::vector<bool> layer_turns;  // [num_layers] by rope or rope_local
  float attention_scale = 1;

  KvLayerView kv_layer(int layer, const KvCacheView& kv) const;
};

DecoderShape decoder_shape(const ModelConfig& config, const LoadOptions& options);

}  // namespace vllm::model
