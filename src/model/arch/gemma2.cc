// Gemma 2: norms before and after each block with weights stored as w of (1 + w), GeGLU, scaled embeddings, soft caps
// of attention and logits, and a sliding window in every second layer.
#include "model/arch/gemma.h"

namespace vllm::model {
namespace {

bool even(int layer, int64_t) { return layer % 2 == 0; }

}  // namespace

Status read_gemma2(const ConfigFields& fields, ModelConfig& config) {
  RETURN_IF_ERROR(read_gemma_common(fields, config));
  // Absent is the class's default, null is none.
  auto cap = [&](std::string_view key, double absent) {
    return fields.double_or(key, fields.object().if_contains(key) ? 0 : absent, 1e-6, 1e9);
  };
  ASSIGN_OR_RETURN(config.attn_logit_softcap, cap("attn_logit_softcapping", 50));
  ASSIGN_OR_RETURN(config.final_logit_softcap, cap("final_logit_softcapping", 30));
  return read_layer_types(fields, config, even, 0);
}

Status read_gemma2_gguf(const GgufFields& fields, ModelConfig& config) {
  set_gemma_common(config);
  ASSIGN_OR_RETURN(config.attn_logit_softcap, fields.double_or("attn_logit_softcapping", 50, 0, 1e9));
  ASSIGN_OR_RETURN(config.final_logit_softcap, fields.double_or("final_logit_softcapping", 30, 0, 1e9));
  set_gemma_27b_scale(config, 46);
  return read_gguf_windows(fields, config, 4096, 2);
}

}  // namespace vllm::model
