#include "model/weights/tensor_names.h"

#include <algorithm>
#include <iterator>

#include "model/arch/registry.h"

namespace vllm::model {
namespace {

using enum TensorId;

constexpr TensorName kHfTable[] = {
    {kEmbedding, "embed_tokens"},
    {kFinalNorm, "norm"},
    {kAttentionNorm, "input_layernorm"},
    {kMlpNorm, "post_attention_layernorm"},
    {kQNorm, "self_attn.q_norm"},
    {kKNorm, "self_attn.k_norm"},
    {kQ, "self_attn.q_proj"},
    {kK, "self_attn.k_proj"},
    {kV, "self_attn.v_proj"},
    {kO, "self_attn.o_proj"},
    {kGate, "mlp.gate_proj"},
    {kUp, "mlp.up_proj"},
    {kDown, "mlp.down_proj"},
    {kMlpPostNorm, "post_feedforward_layernorm"},
};
// Where there are post norms, post_attention_layernorm is one of them and not the norm in front of the MLP.
constexpr TensorName kHfPostNorms[] = {
    {kAttentionPostNorm, "post_attention_layernorm"},
    {kMlpNorm, "pre_feedforward_layernorm"},
};
constexpr TensorName kGgufTable[] = {
    {kEmbedding, "token_embd"},
    {kFinalNorm, "output_norm"},
    {kLmHead, "output"},
    {kPositions, "position_embd"},
    {kAttentionNorm, "attn_norm"},
    {kMlpNorm, "ffn_norm"},
    {kQNorm, "attn_q_norm"},
    {kKNorm, "attn_k_norm"},
    {kQ, "attn_q"},
    {kK, "attn_k"},
    {kV, "attn_v"},
    {kO, "attn_output"},
    {kGate, "ffn_gate"},
    {kUp, "ffn_up"},
    {kDown, "ffn_down"},
    {kAttentionPostNorm, "post_attention_norm"},
    {kMlpPostNorm, "post_ffw_norm"},
};
constexpr TensorName kGgufQkv[] = {
    {kQ, "attn_qkv", Packing::kQkv}, {kK, "attn_qkv", Packing::kQkv}, {kV, "attn_qkv", Packing::kQkv}};
constexpr TensorName kGgufGateUp[] = {{kGate, "ffn_up", Packing::kGateUp}, {kUp, "ffn_up", Packing::kGateUp}};
// Falcon with a norm for each block.
constexpr TensorName kGgufTwoNorms[] = {{kAttentionNorm, "attn_norm_2"}, {kMlpNorm, "attn_norm"}};
constexpr HfNames kLlamaNames;
constexpr std::string_view kPrefixes[] = {
    "model.", "language_model.model.", "model.language_model.", "transformer.", "model.decoder.", "decoder.", ""};

const TensorName* find(std::span<const TensorName> rows, TensorId id) {
  auto row = std::find_if(rows.begin(), rows.end(), [&](const TensorName& r) { return r.id == id; });
  return row == rows.end() ? nullptr : &*row;
}

bool of_the_model(TensorId id) {
  return id == kEmbedding || id == kFinalNorm || id == kPositions || id == kProjectIn || id == kProjectOut;
}

const HfNames& hf_names(const ModelConfig& config) {
  const ArchRow* row = find_arch(config.architecture);
  return row && row->names ? *row->names : kLlamaNames;
}

}  // namespace

TensorNames::TensorNames(const ModelConfig& config, const Checkpoint* checkpoint)
    : gguf_(config.from_gguf),
      post_norms_(config.post_norms),
      gated_mlp_(config.gated_mlp),
      hf_(hf_names(config)),
      checkpoint_(checkpoint),
      prefix_(config.weight_prefix) {
  if (!checkpoint) return;
  if (gguf_) {
    packed_qkv_ = checkpoint->find("blk.0.attn_qkv.weight") != nullptr;
    two_norms_ = checkpoint->find("blk.0.attn_norm_2.weight") != nullptr;
    packed_gate_up_ = gated_mlp_ && checkpoint->find("blk.0.ffn_gate.weight") == nullptr;
    return;
  }
  auto has = [&](std::string_view prefix) {
    return checkpoint->find(std::string(prefix) + std::string(row(kEmbedding).name) + ".weight") != nullptr;
  };
  if (has(prefix_)) return;
  for (std::string_view prefix : kPrefixes) {
    if (has(prefix)) {
      prefix_ = prefix;
      return;
    }
  }
}

const TensorName& TensorNames::row(TensorId id) const {
  const TensorName* found = nullptr;
  if (gguf_) {
    if (packed_qkv_) found = find(kGgufQkv, id);
    if (!found && two_norms_) found = find(kGgufTwoNorms, id);
    if (!found && packed_gate_up_) found = find(kGgufGateUp, id);
    if (!found) found = find(kGgufTable, id);
  } else {
    for (const TensorName& own : hf_.names) {
      if (own.id != id || (found && !(checkpoint_ && checkpoint_->find(join(own, 0, "weight"))))) continue;
      found = &own;
    }
    if (!found && post_norms_) found = find(kHfPostNorms, id);
    if (!found) found = find(kHfTable, id);
  }
  CHECK(found != nullptr);
  return *found;
}

std::string TensorNames::name(TensorId id, int layer, std::string_view suffix) const {
  if (id == kLmHead && !gguf_) {
    const std::string head(hf_.lm_head);
    return (prefix_.starts_with("language_model.") ? "language_model." + head : head) + "." + std::string(suffix);
  }
  return join(row(id), layer, suffix);
}

std::string TensorNames::join(const TensorName& row, int layer, std::string_view suffix) const {
  const std::string own = std::string(row.name) + "." + std::string(suffix);
  if (of_the_model(row.id) || row.id == kLmHead) return gguf_ ? own : prefix_ + own;
  return (gguf_ ? "blk." : prefix_ + std::string(hf_.layers)) + std::to_string(layer) + "." + own;
}

Packing TensorNames::packing(TensorId id) const { return id == kLmHead && !gguf_ ? Packing::kAlone : row(id).packing; }
bool TensorNames::transposed(TensorId id) const { return (id != kLmHead || gguf_) && row(id).transposed; }

}  // namespace vllm::model
