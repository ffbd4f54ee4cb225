#pragma once
// What the generations of Gemma have in common.
#include "model/arch/registry.h"

namespace vllm::model {

/// Norms before and after each block, GeGLU, embeddings times sqrt(hidden_size).
void set_gemma_common(ModelConfig& config);
/// The same, and what config.json says of it: biases, query_pre_attn_scalar, sliding_window; weights w of norms mean 1
/// + w.
Status read_gemma_common(const ConfigFields& fields, ModelConfig& config);
/// GGUF: of `layers` layers, the 27B, attention scales by hidden_size / num_heads instead of head_dim; only depth
/// tells.
void set_gemma_27b_scale(ModelConfig& config, int layers);

}  // namespace vllm::model
