// The blocks of a layer: attention and the MLP, their norms, and how they meet the residual stream.
#include <cmath>

#include "kernels/activation/activation.h"
#include "kernels/kv_write/kv_write.h"
#include "kernels/layer_norm/layer_norm.h"
#include "kernels/linear/linear.h"
#include "kernels/paged_attention/paged_attention.h"
#include "kernels/residual_add/residual_add.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"
#include "model/arch/decoder.h"

namespace vllm::model {
namespace {

ActivationKind kind(Activation a) {
  switch (a) {
    case Activation::kSilu: return ActivationKind::kSilu;
    case Activation::kGeluTanh: return ActivationKind::kGeluTanh;
    case Activation::kGelu: return ActivationKind::kGelu;
    case Activation::kRelu: break;
  }
  return ActivationKind::kRelu;
}

TensorView<float, 3> as_heads(const TensorView<float, 2>& x, int64_t num_heads) {
  return {x.data, {x.size(0), num_heads, x.size(1) / num_heads}};
}

// How a quantized weight sees its input: q, k, v and the lm_head in two int8 terms (see LinearParams::two_term_x); o,
// gate, up and down in one, except in narrow models (Decoder::all_in_two_terms_). A second term for down, nearly a
// third of the weights, halves the KL of wide models (Qwen2.5-Coder-0.5B: 0.0004 for 0.0007, llama.cpp 0.0021), and
// costs them a quarter of the prefill's speed. Of SmolLM2-135M Q4_1 (docs/measurements/linear_terms.jsonl): mean KL to
// the float32 model on a licence text and on a chat prompt; speed of a prefill of 384 tokens and of decode, AVX-512:
//   none                   0.0031  0.0047  100%  100%
//   q, k, v, lm_head       0.0012  0.0028   93%   99%
//   these and down         0.0008  0.0011   85%   99%  from here on greedy begins the chat answer as float32 does
//   these and gate, up     0.0001  0.0002
//   all                    0.0000  0.0000   70%   99%
// With the third choice a first token that float32 prefers by 0.1 nat still fell to the other side when the order of a
// sum in attention changed: rounding noise averages out less over 576 inputs than over 1,536. Narrow models take the
// last one.
enum class Terms { kOne, kTwo };

LinearParams params(const Linear& w, TensorView<float, 2> out, TensorView<const float, 2> x, Terms terms,
                    bool add_to_out = false) {
  return {.out = out,
          .x = x,
          .weight = w.weight,
          .bias = w.bias,
          .add_to_out = add_to_out,
          .two_term_x = terms == Terms::kTwo};
}

// Queries past the context of the training are scaled by the logarithm of their position (Chiang & Cholak 2022,
// arXiv:2202.12172), which modeling_qwen.py does after RoPE.
void scale_by_log_n(std::span<const int32_t> positions, int64_t length, const TensorView<float, 2>& q) {
  const double base = std::log(static_cast<double>(length));
  for (int64_t t = 0; t < q.size(0); ++t) {
    const int64_t seen = int64_t{positions[static_cast<size_t>(t)]} + 1;
    if (seen <= length) continue;
    const auto scale = static_cast<float>(std::log(static_cast<double>(seen)) / base);
    for (int64_t i = 0; i < q.size(1); ++i) q(t, i) *= scale;
  }
}

}  // namespace

// In parallel: both blocks read the residual stream as it comes in, the MLP's wide part first, so that
// nothing needs the stream once attention has been added. One after the other: attention, then the MLP.
void Decoder::layer(int layer, const ForwardBatch& batch, const Slice& slice, const Activations& a,
                    const ForwardContext& context) {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  ThreadPool& pool = *context.pool;
  auto add_attention = [&] {
    block_output(w.o, a.attention, all_in_two_terms_, w.attention_post_norm, w.attention_norm, a, pool);
  };
  auto add_mlp = [&] { block_output(w.down, a.up, all_in_two_terms_, w.mlp_post_norm, w.mlp_norm, a, pool); };
  if (config_.parallel_blocks) {
    TensorView<float, 2> in = block_input(config_.shared_norm ? w.attention_norm : w.mlp_norm, a, false, pool);
    mlp_up(layer, in, a, pool);
    if (!config_.shared_norm) in = block_input(w.attention_norm, a, false, pool);
    attention(layer, in, batch, slice, a, context);
    add_attention();
    add_mlp();
    return;
  }
  attention(layer, block_input(w.attention_norm, a, adds_late_ && layer > 0, pool), batch, slice, a, context);
  add_attention();
  mlp_up(layer, block_input(w.mlp_norm, a, adds_late_, pool), a, pool);
  add_mlp();
}

TensorView<float, 2> Decoder::block_input(const Norm& n, const Activations& a, bool pending, ThreadPool& pool) {
  if (!config_.pre_norms) return a.x;
  apply_norm(n, a.h, pending ? a.h : a.x, pending ? a.x : TensorView<float, 2>(), pool);
  return a.h;
}

void Decoder::block_output(const Linear& w, const TensorView<float, 2>& in, bool two_terms, const Norm& post_norm,
                           const Norm& norm, const Activations& a, ThreadPool& pool) {
  const bool direct = !config_.post_norms && config_.residual_scale == 1;
  linear_cpu(params(w, direct ? a.x : a.h, in, two_terms ? Terms::kTwo : Terms::kOne, direct), linear_scratch(), pool);
  if (config_.post_norms) apply_norm(post_norm, a.h, a.h, {}, pool);
  if (!direct && !adds_late_) {
    residual_add_cpu({.x = a.x, .y = a.h, .scale = static_cast<float>(config_.residual_scale)}, pool);
  }
  if (config_.norm_after_add) apply_norm(norm, a.x, a.x, {}, pool);
}

void Decoder::attention(int layer, TensorView<float, 2> in, const ForwardBatch& batch, const Slice& slice,
                        const Activations& a, const ForwardContext& context) {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  ThreadPool& pool = *context.pool;
  const LinearParams qkv[] = {params(w.q, a.q, in, Terms::kTwo), params(w.k, a.k, in, Terms::kTwo),
                              params(w.v, a.v, in, Terms::kTwo)};
  linear_cpu(qkv, linear_scratch(), pool);
  norm_and_turn(layer, batch, slice, a, pool);
  const bool sliding = config_.layer_is_sliding[static_cast<size_t>(layer)];
  const size_t group = static_cast<size_t>(shape_.places[static_cast<size_t>(layer)].group);
  KvLayerView kv = shape_.kv_layer(layer, context.kv);
  kv_write_cpu({.k = as_heads(a.k, config_.num_kv_heads),
                .v = as_heads(a.v, config_.num_kv_heads),
                .kv = kv,
                .slot_mapping = batch.slot_mapping[group].subspan(static_cast<size_t>(slice.begin),
                                                                  static_cast<size_t>(slice.size()))},
               pool);
  const int64_t num_seqs = static_cast<int64_t>(slice.seq_lens.size());
  paged_attention_cpu({.out = as_heads(a.attention, config_.num_heads),
                       .q = as_heads(a.q, config_.num_heads),
                       .kv = kv,
                       .block_table = batch.block_tables[group].slice(slice.first_seq, slice.first_seq + num_seqs),
                       .query_start = slice.query_start,
                       .seq_lens = slice.seq_lens,
                       .scale = shape_.attention_scale,
                       .softcap = static_cast<float>(config_.attn_logit_softcap),
                       .sliding_window = sliding ? config_.sliding_window : 0},
                      {attention_scratch_.data(), attention_scratch_.size()}, pool);
}

void Decoder::norm_and_turn(int layer, const ForwardBatch& batch, const Slice& slice, const Activations& a,
                            ThreadPool& pool) {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  const bool local = config_.layer_is_sliding[static_cast<size_t>(layer)] && shape_.has_local_rope;
  const bool turns = shape_.layer_turns[static_cast<size_t>(layer)];
  const auto eps = static_cast<float>(config_.norm_eps);
  auto prepare = [&](const TensorView<float, 2>& x, int64_t heads, const Norm& n) {
    if (config_.qk_norm == QkNorm::kHead) {
      TensorView<float, 2> rows(x.data, {x.size(0) * heads, config_.head_dim});
      rms_norm_cpu({.out = rows, .x = rows, .residual = {}, .weight = n.weight, .eps = eps}, pool);
    } else if (config_.qk_norm == QkNorm::kWhole) {
      rms_norm_cpu({.out = x, .x = x, .residual = {}, .weight = n.weight, .eps = eps}, pool);
    } else if (config_.qk_norm == QkNorm::kEachHead) {
      layer_norm_cpu({.out = x, .x = x, .weight = n.weight, .bias = n.bias, .group = config_.head_dim, .eps = eps},
                     pool);
    }
    if (!turns) return;
    rope_cpu({.x = as_heads(x, heads), .cos = local ? a.local_cos : a.cos, .sin = local ? a.local_sin : a.sin}, pool);
  };
  prepare(a.q, config_.num_heads, w.q_norm);
  prepare(a.k, config_.num_kv_heads, w.k_norm);
  if (config_.log_n_attention_length > 0) {
    scale_by_log_n(batch.positions.subspan(static_cast<size_t>(slice.begin), static_cast<size_t>(slice.size())),
                   config_.log_n_attention_length, a.q);
  }
}

void Decoder::mlp_up(int layer, TensorView<float, 2> in, const Activations& a, ThreadPool& pool) {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  const Terms terms = all_in_two_terms_ ? Terms::kTwo : Terms::kOne;
  if (!config_.gated_mlp) {
    linear_cpu(params(w.up, a.up, in, terms), linear_scratch(), pool);
    activation_cpu({.out = a.up, .gate = a.up, .up = {}, .kind = kind(config_.activation)}, pool);
    return;
  }
  const LinearParams both[] = {params(w.gate, a.gate, in, terms), params(w.up, a.up, in, terms)};
  linear_cpu(both, linear_scratch(), pool);
  activation_cpu({.out = a.up, .gate = a.gate, .up = a.up, .kind = kind(config_.activation)}, pool);
}

void Decoder::apply_norm(const Norm& n, TensorView<float, 2> out, TensorView<float, 2> x, TensorView<float, 2> residual,
                         ThreadPool& pool) const {
  const auto eps = static_cast<float>(config_.norm_eps);
  if (config_.norm_type == NormType::kRms) {
    rms_norm_cpu({.out = out, .x = x, .residual = residual, .weight = n.weight, .eps = eps}, pool);
    return;
  }
  CHECK(residual.empty());  // adds_late_ is for RMS norms
  layer_norm_cpu({.out = out, .x = x, .weight = n.weight, .bias = n.bias, .eps = eps}, pool);
}

}  // namespace vllm::model
