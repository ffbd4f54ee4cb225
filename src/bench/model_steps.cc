#include "bench/model_steps.h"

#include <algorithm>
#include <numeric>

namespace vllm::bench {
namespace {
constexpr int64_t kLogitsRows = 32;  // as the engine's
}

ModelSteps::ModelSteps(model::Model& model, int64_t num_seqs, int64_t max_len, ThreadPool& pool)
    : model_(model), pool_(pool), blocks_per_seq_((max_len + kBlockSize - 1) / kBlockSize) {
  const auto blocks = static_cast<size_t>(1 + num_seqs * blocks_per_seq_);
  const model::ModelConfig& c = model.config();
  kv_ = Buffer(blocks * static_cast<size_t>(model.kv_spec().bytes_per_block(kBlockSize)));
  hidden_ = Buffer(static_cast<size_t>(num_seqs * c.hidden_size) * sizeof(float));
  logits_ = Buffer(static_cast<size_t>(kLogitsRows * c.vocab_size) * sizeof(float));
  table_.resize(blocks - 1);
  std::iota(table_.begin(), table_.end(), 1);
  model.reserve(2048, std::max<int64_t>(num_seqs, 1));
}

void ModelSteps::run(int64_t num_seqs, int64_t num_queries, int64_t seq_len) {
  const int64_t tokens = num_seqs * num_queries, hidden_size = model_.config().hidden_size;
  std::vector<int32_t> ids, positions, starts{0}, rows;
  std::vector<int64_t> slots;
  for (int64_t s = 0; s < num_seqs; ++s) {
    for (int64_t p = seq_len - num_queries; p < seq_len; ++p) {
      ids.push_back(static_cast<int32_t>((7919 * (p + s) + 13) % model_.config().vocab_size));
      positions.push_back(static_cast<int32_t>(p));
      slots.push_back((1 + s * blocks_per_seq_ + p / kBlockSize) * kBlockSize + p % kBlockSize);
    }
    starts.push_back(static_cast<int32_t>(ids.size()));
    rows.push_back(starts.back() - 1);
  }
  const std::vector<int32_t> lengths(static_cast<size_t>(num_seqs), static_cast<int32_t>(seq_len));
  model::ForwardContext context = {.kv = {.base = kv_.data(),
                                          .num_blocks = static_cast<int64_t>(table_.size()) + 1,
                                          .block_size = kBlockSize,
                                          .spec = &model_.kv_spec()},
                                   .pool = &pool_};
  model::ForwardBatch batch;
  batch.token_ids = std::span(ids).first(static_cast<size_t>(tokens));
  batch.positions = positions, batch.query_start = starts, batch.seq_lens = lengths, batch.logits_rows = rows;
  for (size_t g = 0; g < model_.kv_spec().groups.size(); ++g) {
    batch.block_tables.emplace_back(TensorView<const int32_t, 2>(table_.data(), {num_seqs, blocks_per_seq_}));
    batch.slot_mapping.emplace_back(slots);
  }
  TensorView<float, 2> hidden(hidden_.as<float>(), {num_seqs, hidden_size});
  model_.forward(batch, context, hidden);
  for (int64_t first = 0; first < num_seqs; first += kLogitsRows) {
    const int64_t count = std::min(kLogitsRows, num_seqs - first);
    model_.compute_logits(hidden.slice(first, first + count), context,
                          {logits_.as<float>(), {count, model_.config().vocab_size}});
  }
}

}  // namespace vllm::bench
