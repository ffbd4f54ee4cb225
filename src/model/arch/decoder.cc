#include "model/arch/decoder.h"

#include <algorithm>
#include <cmath>

#include "kernels/activation/activation.h"
#include "kernels/embedding/embedding.h"
#include "kernels/kv_write/kv_write.h"
#include "kernels/linear/linear.h"
#include "kernels/paged_attention/paged_attention.h"
#include "kernels/rms_norm/rms_norm.h"
#include "kernels/rope/rope.h"

namespace vllm::model {
namespace {

ActivationKind kind(Activation a) {
  return a == Activation::kSilu   ? ActivationKind::kSilu
         : a == Activation::kGelu ? ActivationKind::kGelu
                                  : ActivationKind::kGeluTanh;
}

TensorView<float, 3> as_heads(const TensorView<float, 2>& x, int64_t num_heads) {
  return {x.data, {x.size(0), num_heads, x.size(1) / num_heads}};
}

// How a quantized weight sees its input: q, k, v, down and the lm_head, where 8 bits cost most, in two int8 terms (see
// LinearParams::two_term_x); o, gate and up in one. Of SmolLM2-135M Q4_1 (docs/measurements/linear_terms.jsonl): mean
// KL to the float32 model on a licence text and on a chat prompt; speed of a prefill of 384 tokens and of decode,
// AVX-512:
//   none                   0.0031  0.0047  100%  100%
//   q, k, v, lm_head       0.0012  0.0028   93%   99%
//   these and down         0.0008  0.0011   85%   99%  from here on greedy begins the chat answer as float32 does
//   these and gate, up     0.0001  0.0002
//   all                    0.0000  0.0000   70%   99%
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

}  // namespace

Decoder::Decoder(ModelConfig config, const LoadOptions& options, DecoderWeights weights, int num_threads)
    : config_(std::move(config)),
      weights_(std::move(weights)),
      shape_(decoder_shape(config_, options)),
      num_threads_(num_threads) {}

Decoder::Slice Decoder::next_slice(const ForwardBatch& batch, int64_t begin) {
  Slice slice;
  slice.begin = begin, slice.end = std::min(static_cast<int64_t>(batch.token_ids.size()), begin + max_rows_);
  const auto& starts = batch.query_start;
  slice.first_seq = std::upper_bound(starts.begin(), starts.end(), begin) - starts.begin() - 1;
  query_start_.assign(1, 0), seq_lens_.clear();
  for (size_t s = static_cast<size_t>(slice.first_seq); s + 1 < starts.size() && starts[s] < slice.end; ++s) {
    int64_t end = std::min<int64_t>(starts[s + 1], slice.end);
    query_start_.push_back(static_cast<int32_t>(end - begin));
    seq_lens_.push_back(static_cast<int32_t>(batch.seq_lens[s] - (starts[s + 1] - end)));
  }
  slice.query_start = query_start_, slice.seq_lens = seq_lens_;
  return slice;
}

void Decoder::forward(const ForwardBatch& batch, const ForwardContext& context, TensorView<float, 2> hidden) {
  CHECK(max_rows_ > 0 && static_cast<int64_t>(batch.seq_lens.size()) <= max_seqs_);
  CHECK(batch.query_start.size() == batch.seq_lens.size() + 1 &&
        batch.query_start.back() == static_cast<int32_t>(batch.token_ids.size()));
  CHECK(batch.block_tables.size() == shape_.kv_spec.groups.size() &&
        batch.slot_mapping.size() == shape_.kv_spec.groups.size());
  ThreadPool& pool = *context.pool;
  if (attention_scratch_.size() < attention_scratch_bytes(pool.num_threads())) {
    attention_scratch_ = Buffer(attention_scratch_bytes(pool.num_threads()));
  }
  size_t row = 0;
  for (int64_t begin = 0; begin < static_cast<int64_t>(batch.token_ids.size());) {
    Slice slice = next_slice(batch, begin);
    Activations a = activations(slice.size());
    embed(batch, slice, a, pool);
    make_rope_tables(batch, slice, a, pool);
    for (int layer = 0; layer < config_.num_layers; ++layer) {
      norm(a, weights_.layers[static_cast<size_t>(layer)].attention_norm, config_.post_norms && layer > 0, pool);
      attention(layer, batch, slice, a, context);
      norm(a, weights_.layers[static_cast<size_t>(layer)].mlp_norm, config_.post_norms, pool);
      mlp(layer, a, pool);
    }
    final_norm(batch, slice, a, row, hidden, pool);
    begin = slice.end;
  }
}

void Decoder::embed(const ForwardBatch& batch, const Slice& slice, const Activations& a, ThreadPool& pool) {
  if (!batch.input_embeds.empty()) {
    for (int64_t t = 0; t < slice.size(); ++t)
      std::copy_n(batch.input_embeds.row(slice.begin + t), config_.hidden_size, a.x.row(t));
    return;
  }
  embedding_cpu(
      {.out = a.x,
       .token_ids = batch.token_ids.subspan(static_cast<size_t>(slice.begin), static_cast<size_t>(slice.size())),
       .weight = weights_.embedding,
       .dtype = weights_.embedding_dtype,
       .vocab_size = config_.vocab_size,
       .scale = static_cast<float>(config_.embedding_scale)},
      pool);
}

void Decoder::make_rope_tables(const ForwardBatch& batch, const Slice& slice, const Activations& a, ThreadPool& pool) {
  auto positions = batch.positions.subspan(static_cast<size_t>(slice.begin), static_cast<size_t>(slice.size()));
  rope_table({.cos = a.cos,
              .sin = a.sin,
              .positions = positions,
              .inv_freq = shape_.rope.inv_freq,
              .scale = shape_.rope.scale},
             pool);
  if (!shape_.has_local_rope) return;
  rope_table({.cos = a.local_cos,
              .sin = a.local_sin,
              .positions = positions,
              .inv_freq = shape_.rope_local.inv_freq,
              .scale = shape_.rope_local.scale},
             pool);
}

void Decoder::norm(const Activations& a, std::span<const float> weight, bool pending, ThreadPool& pool) {
  rms_norm_cpu({.out = a.h,
                .x = pending ? a.h : a.x,
                .residual = pending ? a.x : TensorView<float, 2>(),
                .weight = weight,
                .eps = static_cast<float>(config_.rms_norm_eps)},
               pool);
}

void Decoder::attention(int layer, const ForwardBatch& batch, const Slice& slice, const Activations& a,
                        const ForwardContext& context) {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  ThreadPool& pool = *context.pool;
  const LinearParams qkv[] = {params(w.q, a.q, a.h, Terms::kTwo), params(w.k, a.k, a.h, Terms::kTwo),
                              params(w.v, a.v, a.h, Terms::kTwo)};
  linear_cpu(qkv, linear_scratch(), pool);
  const bool sliding = config_.layer_is_sliding[static_cast<size_t>(layer)];
  const bool local = sliding && shape_.has_local_rope;
  auto turn = [&](const TensorView<float, 2>& x, int64_t heads, std::span<const float> norm_weight) {
    if (!norm_weight.empty()) {
      TensorView<float, 2> rows(x.data, {x.size(0) * heads, config_.head_dim});
      rms_norm_cpu({.out = rows,
                    .x = rows,
                    .residual = {},
                    .weight = norm_weight,
                    .eps = static_cast<float>(config_.rms_norm_eps)},
                   pool);
    }
    rope_cpu({.x = as_heads(x, heads), .cos = local ? a.local_cos : a.cos, .sin = local ? a.local_sin : a.sin}, pool);
  };
  turn(a.q, config_.num_heads, w.q_norm);
  turn(a.k, config_.num_kv_heads, w.k_norm);
  size_t group = static_cast<size_t>(shape_.places[static_cast<size_t>(layer)].group);
  KvLayerView kv = shape_.kv_layer(layer, context.kv);
  kv_write_cpu({.k = as_heads(a.k, config_.num_kv_heads),
                .v = as_heads(a.v, config_.num_kv_heads),
                .kv = kv,
                .slot_mapping = batch.slot_mapping[group].subspan(static_cast<size_t>(slice.begin),
                                                                  static_cast<size_t>(slice.size()))},
               pool);
  int64_t num_seqs = static_cast<int64_t>(slice.seq_lens.size());
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
  linear_cpu(params(w.o, config_.post_norms ? a.h : a.x, a.attention, Terms::kOne, !config_.post_norms),
             linear_scratch(), pool);
  if (config_.post_norms) {
    rms_norm_cpu({.out = a.h,
                  .x = a.h,
                  .residual = {},
                  .weight = w.attention_post_norm,
                  .eps = static_cast<float>(config_.rms_norm_eps)},
                 pool);
  }
}

void Decoder::mlp(int layer, const Activations& a, ThreadPool& pool) {
  const LayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  const LinearParams both[] = {params(w.gate, a.gate, a.h, Terms::kOne), params(w.up, a.up, a.h, Terms::kOne)};
  linear_cpu(both, linear_scratch(), pool);
  activation_cpu({.out = a.gate, .gate = a.gate, .up = a.up, .kind = kind(config_.activation)}, pool);
  linear_cpu(params(w.down, config_.post_norms ? a.h : a.x, a.gate, Terms::kTwo, !config_.post_norms), linear_scratch(),
             pool);
  if (config_.post_norms) {
    rms_norm_cpu({.out = a.h,
                  .x = a.h,
                  .residual = {},
                  .weight = w.mlp_post_norm,
                  .eps = static_cast<float>(config_.rms_norm_eps)},
                 pool);
  }
}

void Decoder::final_norm(const ForwardBatch& batch, const Slice& slice, const Activations& a, size_t& row,
                         TensorView<float, 2> hidden, ThreadPool& pool) {
  const auto& rows = batch.logits_rows;
  while (row < rows.size() && rows[row] < slice.end) {
    size_t end = row + 1;  // a run of neighbouring rows is one call
    while (end < rows.size() && rows[end] < slice.end && rows[end] == rows[end - 1] + 1) ++end;
    int64_t first = rows[row] - slice.begin, count = static_cast<int64_t>(end - row);
    auto part = [&](const TensorView<float, 2>& x) { return x.slice(first, first + count); };
    rms_norm_cpu({.out = hidden.slice(static_cast<int64_t>(row), static_cast<int64_t>(end)),
                  .x = part(config_.post_norms ? a.h : a.x),
                  .residual = config_.post_norms ? part(a.x) : TensorView<float, 2>(),
                  .weight = weights_.final_norm,
                  .eps = static_cast<float>(config_.rms_norm_eps)},
                 pool);
    row = end;
  }
}

std::vector<LinearCall> Decoder::linear_calls() const {
  std::vector<LinearCall> out;
  for (const LayerWeights& w : weights_.layers) {
    out.push_back({"qkv", {w.q.weight, w.k.weight, w.v.weight}, true});
    out.push_back({"o", {w.o.weight}, false});
    out.push_back({"gate_up", {w.gate.weight, w.up.weight}, false});
    out.push_back({"down", {w.down.weight}, true});
  }
  out.push_back({"lm_head", {weights_.lm_head.weight}, true});
  return out;
}

void Decoder::compute_logits(TensorView<const float, 2> hidden, const ForwardContext& context,
                             TensorView<float, 2> logits) {
  CHECK(max_rows_ > 0 && hidden.size(0) <= kLogitsRows);
  linear_cpu(params(weights_.lm_head, logits, hidden, Terms::kTwo), linear_scratch(), *context.pool);
  if (config_.final_logit_softcap <= 0) return;
  auto cap = static_cast<float>(config_.final_logit_softcap);
  context.pool->parallel_for(logits.size(0), [&](int64_t r, int) {
    for (int64_t i = 0; i < logits.size(1); ++i) logits(r, i) = cap * std::tanh(logits(r, i) / cap);
  });
}

}  // namespace vllm::model
