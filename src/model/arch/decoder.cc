#include "model/arch/decoder.h"

#include <algorithm>
#include <cmath>

#include "kernels/embedding/embedding.h"
#include "kernels/linear/linear.h"
#include "kernels/residual_add/residual_add.h"
#include "kernels/rope/rope.h"

namespace vllm::model {
namespace {
constexpr int64_t kNarrow = 768;  // hidden size
}

Decoder::Decoder(ModelConfig config, const LoadOptions& options, DecoderWeights weights, int num_threads)
    : config_(std::move(config)),
      weights_(std::move(weights)),
      shape_(decoder_shape(config_, options)),
      all_in_two_terms_(config_.hidden_size < kNarrow),
      adds_late_(config_.pre_norms && config_.post_norms && config_.norm_type == NormType::kRms &&
                 !config_.parallel_blocks && config_.residual_scale == 1),
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
    for (int i = 0; i < config_.num_layers; ++i) layer(i, batch, slice, a, context);
    final_norm(batch, slice, a, row, hidden, pool);
    begin = slice.end;
  }
}

void Decoder::embed(const ForwardBatch& batch, const Slice& slice, const Activations& a, ThreadPool& pool) {
  const bool projects = config_.embedding_size > 0;
  if (!batch.input_embeds.empty()) {
    for (int64_t t = 0; t < slice.size(); ++t)
      std::copy_n(batch.input_embeds.row(slice.begin + t), config_.hidden_size, a.x.row(t));
  } else {
    embedding_cpu(
        {.out = projects ? a.embedded : a.x,
         .token_ids = batch.token_ids.subspan(static_cast<size_t>(slice.begin), static_cast<size_t>(slice.size())),
         .weight = weights_.embedding,
         .dtype = weights_.embedding_dtype,
         .vocab_size = config_.vocab_size,
         .scale = static_cast<float>(config_.embedding_scale)},
        pool);
    if (projects) {
      linear_cpu({.out = a.x, .x = a.embedded, .weight = weights_.project_in.weight, .two_term_x = true},
                 linear_scratch(), pool);
    }
  }
  if (config_.position == PositionType::kLearned) add_positions(batch, slice, a, pool);
}

void Decoder::add_positions(const ForwardBatch& batch, const Slice& slice, const Activations& a, ThreadPool& pool) {
  const auto offset = static_cast<int32_t>(config_.position_offset);
  rows_.clear();
  for (int64_t t = slice.begin; t < slice.end; ++t) rows_.push_back(batch.positions[static_cast<size_t>(t)] + offset);
  embedding_cpu({.out = a.h,
                 .token_ids = rows_,
                 .weight = weights_.positions,
                 .dtype = weights_.positions_dtype,
                 .vocab_size = config_.max_position + offset},
                pool);
  residual_add_cpu({.x = a.x, .y = a.h}, pool);
}

void Decoder::make_rope_tables(const ForwardBatch& batch, const Slice& slice, const Activations& a, ThreadPool& pool) {
  if (config_.position != PositionType::kRope) return;
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

void Decoder::final_norm(const ForwardBatch& batch, const Slice& slice, const Activations& a, size_t& row,
                         TensorView<float, 2> hidden, ThreadPool& pool) {
  const auto& rows = batch.logits_rows;
  while (row < rows.size() && rows[row] < slice.end) {
    size_t end = row + 1;  // a run of neighbouring rows is one call
    while (end < rows.size() && rows[end] < slice.end && rows[end] == rows[end - 1] + 1) ++end;
    const int64_t first = rows[row] - slice.begin, count = static_cast<int64_t>(end - row);
    auto part = [&](const TensorView<float, 2>& x) { return x.slice(first, first + count); };
    const auto out = hidden.slice(static_cast<int64_t>(row), static_cast<int64_t>(end));
    if (!config_.final_norm) {
      for (int64_t r = 0; r < count; ++r) std::copy_n(a.x.row(first + r), config_.hidden_size, out.row(r));
    } else if (adds_late_) {
      apply_norm(weights_.final_norm, out, part(a.h), part(a.x), pool);
    } else {
      apply_norm(weights_.final_norm, out, part(a.x), {}, pool);
    }
    row = end;
  }
}

std::vector<LinearCall> Decoder::linear_calls() const {
  std::vector<LinearCall> out;
  for (const LayerWeights& w : weights_.layers) {
    out.push_back({"qkv", {w.q.weight, w.k.weight, w.v.weight}, true});
    out.push_back({"o", {w.o.weight}, all_in_two_terms_});
    if (config_.gated_mlp) out.push_back({"gate_up", {w.gate.weight, w.up.weight}, all_in_two_terms_});
    if (!config_.gated_mlp) out.push_back({"up", {w.up.weight}, all_in_two_terms_});
    out.push_back({"down", {w.down.weight}, all_in_two_terms_});
  }
  out.push_back({"lm_head", {weights_.lm_head.weight}, true});
  return out;
}

void Decoder::compute_logits(TensorView<const float, 2> hidden, const ForwardContext& context,
                             TensorView<float, 2> logits) {
  CHECK(max_rows_ > 0 && hidden.size(0) <= kLogitsRows);
  TensorView<const float, 2> in = hidden;
  if (config_.embedding_size > 0) {
    TensorView<float, 2> projected(projected_.as<float>(), {hidden.size(0), config_.embedding_size});
    linear_cpu({.out = projected, .x = hidden, .weight = weights_.project_out.weight, .two_term_x = true},
               linear_scratch(), *context.pool);
    in = projected;
  }
  LinearWeight head = weights_.lm_head.weight;
  head.n = logits.size(1);
  linear_cpu({.out = logits, .x = in, .weight = head, .two_term_x = true}, linear_scratch(), *context.pool);
  const auto scale = static_cast<float>(config_.logits_scale), cap = static_cast<float>(config_.final_logit_softcap);
  if (scale == 1 && cap <= 0) return;
  context.pool->parallel_for(logits.size(0), [&](int64_t r, int) {
    for (int64_t i = 0; i < logits.size(1); ++i) {
      const float x = scale * logits(r, i);
      logits(r, i) = cap > 0 ? cap * std::tanh(x / cap) : x;
    }
  });
}

}  // namespace vllm::model
