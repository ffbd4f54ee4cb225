#pragma once
// Rope settings: from config.json (rope_theta and rope_scaling of old, rope_parameters of new files), and the
// frequencies that they mean.
#include <vector>

#include "model/config.h"
#include "model/config_fields.h"

namespace vllm::model {

/// Read one object of rope_scaling or rope_parameters over the defaults in `rope` (theta). kUnimplemented names a rope
/// type that is not built.
Result<RopeConfig> read_rope_object(const json::object& object, RopeConfig rope, int64_t max_position);

/// The rope of a config whose layers all use one: rope_parameters, or rope_theta with rope_scaling.
Result<RopeConfig> read_rope(const ConfigFields& fields, int64_t max_position, double default_theta);

/// The context that max_position_embeddings and the scaling give together, as vLLM derives it: linear, dynamic and yarn
/// stretch it, llama3 and longrope are in it already.
int64_t scaled_max_position(const RopeConfig& rope, int64_t max_position);

/// Dimensions of a head that turn; even.
int rotary_dim(const RopeConfig& rope, int head_dim);

struct RopeFrequencies {
  std::vector<double> inv_freq;  // [rotary_dim / 2] radians per position
  double scale = 1;              // of cosines and sines
};
/// `max_model_len` chooses longrope's short or long factors (as vLLM does, once for all requests) and the base of the
/// first Qwen's dynamic NTK. Formulas:
/// transformers 5 modeling_rope_utils.py; dynamic uses vLLM's fixed base for the stretched context (not transformers'
/// growing one), so that a token's result does not depend on how long its sequence becomes.
RopeFrequencies rope_frequencies(const RopeConfig& rope, int head_dim, int64_t max_model_len);

}  // namespace vllm::model
