#include "model/weights/tensor_names.h"

#include <algorithm>
#include <iterator>

namespace vllm::model {
namespace {

struct NameRow {
  TensorId id;
  std::string_view hf, gguf;
};
constexpr NameRow kModelNames[] = {
    {TensorId::kEmbedding, "embed_tokens", "token_embd"},
    {TensorId::kFinalNorm, "norm", "output_norm"},
};
constexpr NameRow kLayerNames[] = {
    {TensorId::kAttentionNorm, "input_layernorm", "attn_norm"},
    {TensorId::kMlpNorm, "post_attention_layernorm", "ffn_norm"},
    {TensorId::kQNorm, "self_attn.q_norm", "attn_q_norm"},
    {TensorId::kKNorm, "self_attn.k_norm", "attn_k_norm"},
    {TensorId::kQ, "self_attn.q_proj", "attn_q"},
    {TensorId::kK, "self_attn.k_proj", "attn_k"},
    {TensorId::kV, "self_attn.v_proj", "attn_v"},
    {TensorId::kO, "self_attn.o_proj", "attn_output"},
    {TensorId::kGate, "mlp.gate_proj", "ffn_gate"},
    {TensorId::kUp, "mlp.up_proj", "ffn_up"},
    {TensorId::kDown, "mlp.down_proj", "ffn_down"},
};
// Where there are post norms, HF's post_attention_layernorm is one of them and not the norm in front of the MLP.
constexpr NameRow kPostNormNames[] = {
    {TensorId::kAttentionPostNorm, "post_attention_layernorm", "post_attention_norm"},
    {TensorId::kMlpNorm, "pre_feedforward_layernorm", "ffn_norm"},
    {TensorId::kMlpPostNorm, "post_feedforward_layernorm", "post_ffw_norm"},
};
constexpr std::string_view kPrefixes[] = {"model.", "language_model.model.", "model.language_model.", ""};

template <size_t N>
const NameRow* find_row(const NameRow (&rows)[N], TensorId id) {
  const NameRow* row = std::find_if(std::begin(rows), std::end(rows), [&](const NameRow& r) { return r.id == id; });
  return row == std::end(rows) ? nullptr : row;
}

}  // namespace

TensorNames::TensorNames(const ModelConfig& config, const Checkpoint* checkpoint)
    : gguf_(config.from_gguf), post_norms_(config.post_norms), prefix_(config.weight_prefix) {
  auto has = [&](std::string_view prefix) {
    return checkpoint->find(std::string(prefix) + "embed_tokens.weight") != nullptr;
  };
  if (gguf_ || !checkpoint || has(prefix_)) return;
  for (std::string_view prefix : kPrefixes) {
    if (has(prefix)) {
      prefix_ = prefix;
      return;
    }
  }
}

std::string TensorNames::name(TensorId id, int layer, std::string_view suffix) const {
  if (id == TensorId::kLmHead) {
    std::string head = gguf_                                    ? "output."
                       : prefix_.starts_with("language_model.") ? "language_model.lm_head."
                                                                : "lm_head.";
    return head + std::string(suffix);
  }
  if (const NameRow* row = find_row(kModelNames, id)) {
    return (gguf_ ? "" : prefix_) + std::string(gguf_ ? row->gguf : row->hf) + "." + std::string(suffix);
  }
  const NameRow* row = post_norms_ ? find_row(kPostNormNames, id) : nullptr;
  if (!row) row = find_row(kLayerNames, id);
  CHECK(row != nullptr);
  return (gguf_ ? "blk." : prefix_ + "layers.") + std::to_string(layer) + "." +
         std::string(gguf_ ? row->gguf : row->hf) + "." + std::string(suffix);
}

}  // namespace vllm::model
