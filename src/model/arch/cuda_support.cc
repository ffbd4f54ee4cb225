#include "model/arch/cuda_support.h"

#include <fmt/ranges.h>

namespace vllm::model {

Status check_cuda_support(const ModelConfig& c) {
  struct Row {
    bool needed;
    std::string_view feature;
  };
  const Row rows[] = {
      {c.norm_type != NormType::kRms, "LayerNorm"},
      {!c.pre_norms, "blocks without a norm of their input"},
      {c.parallel_blocks, "attention and MLP side by side"},
      {!c.final_norm, "no last norm"},
      {c.qk_norm != QkNorm::kNone && c.qk_norm != QkNorm::kHead,
       "norms of Q and K other than one RMSNorm for all heads"},
      {!c.gated_mlp, "an MLP without a gate"},
      {c.activation == Activation::kRelu, "relu"},
      {c.position == PositionType::kLearned, "learned positions"},
      {c.rope_on_sliding_only, "layers without positions"},
      {c.residual_scale != 1 && (c.post_norms || c.qk_norm != QkNorm::kNone),
       "a residual multiplier and norms of other than the residual stream"},
      {c.embedding_size > 0, "an embedding of another width"},
      {c.log_n_attention_length > 0, "log-n attention"},
  };
  std::vector<std::string_view> missing;
  for (const Row& row : rows) {
    if (row.needed) missing.push_back(row.feature);
  }
  if (missing.empty()) return {};
  return error(ErrorCode::kUnimplemented, "{} is not built for GPUs ({}); run it with --device cpu", c.architecture,
               fmt::join(missing, ", "));
}

}  // namespace vllm::model
