#include "model/cuda/cuda_decoder.h"

#include <algorithm>

#include "kernels/decode_attention/decode_attention_cuda.h"
#include "kernels/embedding/embedding_cuda.h"
#include "kernels/qkv_finish/qkv_finish_cuda.h"
#include "kernels/rms_norm/rms_norm_cuda.h"
#include "model/cuda/softcap.h"
#include "model/cuda/wanted_rows.h"

namespace vllm::model {

Status CudaDecoder::check(const CudaBatch& b, TensorView<void, 2> hidden) const {
  if (!attention_) return error(ErrorCode::kInternal, "forward before reserve");
  const size_t groups = shape_.kv_spec.groups.size();
  if (b.num_tokens > limits_.max_tokens || b.num_seqs > limits_.max_seqs) {
    return error(ErrorCode::kInternal, "a step of {} tokens and {} sequences, reserved are {} and {}", b.num_tokens,
                 b.num_seqs, limits_.max_tokens, limits_.max_seqs);
  }
  if (b.block_tables.size() != groups || b.slot_mapping.size() != groups || b.phase < 0 ||
      b.phase >= limits_.num_phases) {
    return error(ErrorCode::kInternal, "a step with {} block tables, {} slot mappings and phase {}; groups are {}",
                 b.block_tables.size(), b.slot_mapping.size(), b.phase, groups);
  }
  if (b.decodes > b.num_seqs || (b.decodes >= 0 && (b.decode || !mixes(b.decodes)))) {
    return error(ErrorCode::kInternal, "a step of {} sequences with {} decodes that this model cannot mix", b.num_seqs,
                 b.decodes);
  }
  if (hidden.size(0) != b.num_logits || hidden.size(1) != config_.hidden_size || hidden.dtype != dtype_) {
    return error(ErrorCode::kInternal, "hidden is {} [{}, {}], expected {} [{}, {}]", info(hidden.dtype).name,
                 hidden.size(0), hidden.size(1), info(dtype_).name, b.num_logits, config_.hidden_size);
  }
  return {};
}

Status CudaDecoder::forward(const CudaBatch& batch, const KvCacheView& kv, TensorView<void, 2> hidden,
                            StreamRef stream) {
  RETURN_IF_ERROR(check(batch, hidden));
  if (batch.num_tokens == 0) return {};
  Step s{.batch = batch, .kv = kv, .a = activations(batch.num_tokens), .stream = stream};
  RETURN_IF_ERROR(embedding_cuda({.out = s.a.x,
                                  .token_ids = batch.token_ids,
                                  .weight = {weights_.embedding, {config_.vocab_size, config_.hidden_size}, dtype_},
                                  .scale = static_cast<float>(config_.embedding_scale / config_.residual_scale)},
                                 stream));
  RETURN_IF_ERROR(make_rope_tables(s));
  s.fused = fused_seqs(batch);
  RETURN_IF_ERROR(plan_attention(s));
  const int last = config_.num_layers - 1;
  for (int layer = 0; layer < last; ++layer) {
    RETURN_IF_ERROR(attention(layer, s));
    RETURN_IF_ERROR(output(layer, s));
    RETURN_IF_ERROR(mlp(layer, s));
  }
  RETURN_IF_ERROR(attention(last, s));
  if (batch.num_logits == 0) return {};
  const std::optional<CudaBatch> wanted = wanted_batch(batch);
  const Step rest{.batch = wanted ? *wanted : batch,
                  .kv = kv,
                  .a = wanted ? wanted_activations(batch.num_logits) : s.a,
                  .stream = stream};
  if (wanted) {
    RETURN_IF_ERROR(wanted_rows_cuda({.x_out = rest.a.x,
                                      .x = s.a.x,
                                      .attention_out = rest.a.attention,
                                      .attention = s.a.attention,
                                      .rows = batch.logits_rows,
                                      .place = const_cast<int32_t*>(wanted->logits_rows)},
                                     stream));
  }
  RETURN_IF_ERROR(output(last, rest));
  RETURN_IF_ERROR(mlp(last, rest));
  return final_norm(rest, hidden);
}

std::optional<CudaBatch> CudaDecoder::wanted_batch(const CudaBatch& batch) const {
  if (batch.num_logits > limits_.max_logits || batch.num_logits * 4 > batch.num_tokens * 3) return std::nullopt;
  CudaBatch wanted;
  wanted.num_tokens = wanted.num_logits = batch.num_logits;
  wanted.logits_rows = reinterpret_cast<const int32_t*>(wanted_.data());
  return wanted;
}

Status CudaDecoder::make_rope_tables(const Step& s) {
  const double* frequencies = inv_freq_.as<double>();
  RETURN_IF_ERROR(rope_table_cuda({.cos = s.a.cos,
                                   .sin = s.a.sin,
                                   .positions = s.batch.positions,
                                   .inv_freq = frequencies,
                                   .scale = shape_.rope.scale},
                                  s.stream));
  if (!shape_.has_local_rope) return {};
  return rope_table_cuda({.cos = s.a.local_cos,
                          .sin = s.a.local_sin,
                          .positions = s.batch.positions,
                          .inv_freq = frequencies + shape_.rope.inv_freq.size(),
                          .scale = shape_.rope_local.scale},
                         s.stream);
}

int CudaDecoder::phase(const CudaBatch& batch, size_t group) const {
  return batch.phase * static_cast<int>(shape_.kv_spec.groups.size()) + static_cast<int>(group);
}

bool CudaDecoder::can_fuse() const {
  const ModelConfig& c = config_;
  return !limits_.batch_invariant &&
         decode_attention_fits({.num_heads = c.num_heads,
                                .num_kv_heads = c.num_kv_heads,
                                .head_dim = c.head_dim,
                                .block_size = limits_.block_size,
                                .rotary_dim = 2 * static_cast<int64_t>(shape_.rope.inv_freq.size()),
                                .dtype = dtype_,
                                .kv_dtype = shape_.kv_spec.dtype}) &&
         (!shape_.has_local_rope || shape_.rope_local.inv_freq.size() == shape_.rope.inv_freq.size());
}

bool CudaDecoder::mixes(int decodes) const { return can_fuse() && decodes <= kFusedSeqs; }

int CudaDecoder::fused_seqs(const CudaBatch& b) const {
  if (b.decodes >= 0) return b.decodes;
  if (!can_fuse()) return 0;
  if (b.decode) return b.lopsided || b.num_seqs > kFusedSeqs ? 0 : b.num_seqs;
  int count = 0;
  int64_t longest = 0, total = 0;
  for (; count < b.num_seqs; ++count) {
    const auto i = static_cast<size_t>(count);
    if (b.host_query_start[i + 1] - b.host_query_start[i] != 1) break;
    longest = std::max<int64_t>(longest, b.host_seq_lens[i]), total += b.host_seq_lens[i];
  }
  return count > kFusedSeqs || is_lopsided(count, longest, total) ? 0 : count;
}

bool CudaDecoder::is_lopsided(int num_seqs, int64_t longest, int64_t total) const {
  return !limits_.batch_invariant && num_seqs <= kFusedSeqs &&
         decode_attention_lopsided(num_seqs, config_.num_kv_heads, longest, total);
}

Status CudaDecoder::plan_attention(const Step& s) {
  const CudaBatch& b = s.batch;
  if (s.fused == b.num_seqs) return {};
  const auto fused = static_cast<size_t>(s.fused);
  const bool on_host = !b.decode && b.decodes < 0;
  for (size_t g = 0; g < shape_.kv_spec.groups.size(); ++g) {
    RETURN_IF_ERROR(
        attention_->plan({.num_seqs = b.num_seqs - s.fused,
                          .num_tokens = b.num_tokens,
                          .query_start = b.query_start + fused,
                          .seq_lens = b.seq_lens + fused,
                          .block_table = b.block_tables[g].slice(s.fused, b.num_seqs),
                          .decode = b.decode,
                          .host_query_start = on_host ? b.host_query_start.subspan(fused) : b.host_query_start,
                          .host_seq_lens = on_host ? b.host_seq_lens.subspan(fused) : b.host_seq_lens,
                          .sliding_window = shape_.kv_spec.groups[g].sliding_window},
                         phase(b, g), s.stream));
  }
  return {};
}

Status CudaDecoder::run(const LinearCudaParams& p, const Step& s) const {
  return runs(kLinears) ? linear_->run(p, s.stream) : Status{};
}

Status CudaDecoder::norm_linear(const Step& s, int64_t begin, int64_t end, const float* norm, bool pending,
                                const CudaLinear& w, TensorView<void, 2> out, LinearBack back) {
  LinearCudaParams p{.out = out,
                     .x = s.a.x.slice(begin, end),
                     .weight = w.weight,
                     .dtype = dtype_,
                     .n = w.n,
                     .k = w.k,
                     .bias = w.bias,
                     .norm_weight = norm,
                     .norm_eps = eps(),
                     .back = back};
  if (pending) {
    TensorView<void, 2> normed = s.a.normed.slice(0, end - begin);
    if (runs(kNorms)) {
      RETURN_IF_ERROR(rms_norm_cuda({.out = normed,
                                     .x = s.a.h.slice(begin, end),
                                     .residual = s.a.x.slice(begin, end),
                                     .weight = norm,
                                     .eps = eps()},
                                    s.stream));
    }
    p.x = normed, p.norm_weight = nullptr;
  }
  return run(p, s);
}

Status CudaDecoder::linear_add(const Step& s, int64_t begin, int64_t end, const CudaLinear& w,
                               TensorView<const void, 2> in, const float* post_norm) {
  const bool post = config_.post_norms;
  TensorView<float, 2> out = (post ? s.a.h : s.a.x).slice(begin, end);
  LinearCudaParams p{.out = out,
                     .x = in,
                     .weight = w.weight,
                     .dtype = dtype_,
                     .n = w.n,
                     .k = w.k,
                     .bias = w.bias,
                     .add_to_out = !post};
  RETURN_IF_ERROR(run(p, s));
  if (!post || !runs(kNorms)) return {};
  return rms_norm_cuda({.out = out, .x = out, .residual = {}, .weight = post_norm, .eps = eps()}, s.stream);
}

Status CudaDecoder::attention(int layer, const Step& s) {
  const ModelConfig& c = config_;
  const CudaLayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  const int64_t num_tokens = s.batch.num_tokens;
  for (int64_t begin = 0; begin < num_tokens; begin += kSliceTokens) {
    const int64_t end = std::min(num_tokens, begin + kSliceTokens);
    RETURN_IF_ERROR(norm_linear(s, begin, end, w.attention_norm, c.post_norms && layer > 0, w.qkv,
                                s.a.qkv.slice(begin, end), LinearBack::kNone));
  }
  if (s.fused > 0) RETURN_IF_ERROR(fused_attention(layer, s));
  return s.fused < s.batch.num_seqs ? split_attention(layer, s) : Status();
}

Status CudaDecoder::output(int layer, const Step& s) {
  const CudaLayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  const int64_t num_tokens = s.batch.num_tokens;
  for (int64_t begin = 0; begin < num_tokens; begin += kSliceTokens) {
    const int64_t end = std::min(num_tokens, begin + kSliceTokens);
    RETURN_IF_ERROR(linear_add(s, begin, end, w.o, s.a.attention.slice(begin, end), w.attention_post_norm));
  }
  return {};
}

Status CudaDecoder::fused_attention(int layer, const Step& s) {
  if (!runs(kAttention)) return {};
  const ModelConfig& c = config_;
  const CudaLayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  const auto group = static_cast<size_t>(shape_.places[static_cast<size_t>(layer)].group);
  const bool sliding = c.layer_is_sliding[static_cast<size_t>(layer)];
  const bool local = sliding && shape_.has_local_rope;
  return decode_attention_cuda({.out = s.a.attention,
                                .qkv = s.a.qkv,
                                .num_heads = c.num_heads,
                                .num_kv_heads = c.num_kv_heads,
                                .head_dim = c.head_dim,
                                .q_norm = w.q_norm,
                                .k_norm = w.k_norm,
                                .norm_eps = eps(),
                                .cos = local ? s.a.local_cos : s.a.cos,
                                .sin = local ? s.a.local_sin : s.a.sin,
                                .kv = shape_.kv_layer(layer, s.kv),
                                .slot_mapping = s.batch.slot_mapping[group],
                                .block_table = s.batch.block_tables[group].slice(0, s.fused),
                                .seq_lens = s.batch.seq_lens,
                                .scale = shape_.attention_scale,
                                .softcap = static_cast<float>(c.attn_logit_softcap),
                                .sliding_window = sliding ? c.sliding_window : 0},
                               s.stream);
}

Status CudaDecoder::split_attention(int layer, const Step& s) {
  const ModelConfig& c = config_;
  const CudaLayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  const int64_t num_tokens = s.batch.num_tokens;
  const auto group = static_cast<size_t>(shape_.places[static_cast<size_t>(layer)].group);
  const bool sliding = c.layer_is_sliding[static_cast<size_t>(layer)];
  const bool local = sliding && shape_.has_local_rope;
  const KvLayerView kv = shape_.kv_layer(layer, s.kv);
  if (runs(kQkvFinish)) {
    // Where the host does not know how many rows decode they are done again: decode_attention_cuda is through with
    // them.
    const int64_t begin = s.batch.decodes >= 0 ? 0 : s.fused;
    auto rows = [&](TensorView<float, 2> table) { return table.slice(begin, num_tokens); };
    RETURN_IF_ERROR(qkv_finish_cuda({.qkv = s.a.qkv.slice(begin, num_tokens),
                                     .num_heads = c.num_heads,
                                     .num_kv_heads = c.num_kv_heads,
                                     .head_dim = c.head_dim,
                                     .q_norm = w.q_norm,
                                     .k_norm = w.k_norm,
                                     .norm_eps = eps(),
                                     .cos = rows(local ? s.a.local_cos : s.a.cos),
                                     .sin = rows(local ? s.a.local_sin : s.a.sin),
                                     .kv = kv,
                                     .slot_mapping = s.batch.slot_mapping[group] + begin},
                                    s.stream));
  }
  if (runs(kAttention)) {
    const int64_t heads = c.num_heads, head_dim = c.head_dim;
    TensorView<const void, 3> q(s.a.qkv.data, {num_tokens, heads, head_dim}, dtype_);
    q.stride[0] = s.a.qkv.stride[0];
    RETURN_IF_ERROR(attention_->run({.out = {s.a.attention.data, {num_tokens, heads, head_dim}, dtype_},
                                     .q = q,
                                     .kv = kv,
                                     .scale = shape_.attention_scale,
                                     .softcap = static_cast<float>(c.attn_logit_softcap),
                                     .sliding_window = sliding ? c.sliding_window : 0},
                                    phase(s.batch, group), s.stream));
  }
  return {};
}

Status CudaDecoder::mlp(int layer, const Step& s) {
  const CudaLayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
  for (int64_t begin = 0; begin < s.batch.num_tokens; begin += kSliceTokens) {
    const int64_t end = std::min<int64_t>(s.batch.num_tokens, begin + kSliceTokens);
    TensorView<void, 2> gated = s.a.gated.slice(0, end - begin);
    RETURN_IF_ERROR(norm_linear(s, begin, end, w.mlp_norm, config_.post_norms, w.gate_up, gated, gated_back()));
    RETURN_IF_ERROR(linear_add(s, begin, end, w.down, gated, w.mlp_post_norm));
  }
  return {};
}

Status CudaDecoder::final_norm(const Step& s, TensorView<void, 2> hidden) {
  return rms_norm_cuda({.out = hidden,
                        .x = config_.post_norms ? s.a.h : s.a.x,
                        .residual = config_.post_norms ? s.a.x : TensorView<float, 2>(),
                        .weight = weights_.final_norm,
                        .eps = eps(),
                        .rows = s.batch.logits_rows},
                       s.stream);
}

Status CudaDecoder::compute_logits(TensorView<const void, 2> hidden, TensorView<float, 2> logits, StreamRef stream) {
  if (!head_) return error(ErrorCode::kInternal, "compute_logits before reserve");
  if (hidden.size(0) == 0) return {};
  if (hidden.size(0) > limits_.max_logits || hidden.size(0) != logits.size(0)) {
    return error(ErrorCode::kInternal, "logits of {} rows for {} hidden rows, reserved are {}", logits.size(0),
                 hidden.size(0), limits_.max_logits);
  }
  RETURN_IF_ERROR(head_->run({.out = logits,
                              .x = hidden,
                              .weight = weights_.lm_head.weight,
                              .dtype = dtype_,
                              .n = weights_.lm_head.n,
                              .k = weights_.lm_head.k},
                             stream));
  if (config_.final_logit_softcap <= 0 && config_.logits_scale == 1) return {};
  return softcap_cuda(logits, static_cast<float>(config_.logits_scale), static_cast<float>(config_.final_logit_softcap),
                      stream);
}

}  // namespace vllm::model
