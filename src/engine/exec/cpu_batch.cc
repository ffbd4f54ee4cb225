#include "engine/exec/cpu_batch.h"

namespace vllm::engine {

CpuBatch::CpuBatch(const EngineConfig& config, size_t num_groups)
    : config_(config), max_blocks_((config.max_model_len + config.block_size - 1) / config.block_size) {
  auto max_tokens = static_cast<size_t>(config.max_num_batched_tokens),
       max_seqs = static_cast<size_t>(config.max_num_seqs);
  block_tables_.resize(num_groups);
  slot_mapping_.resize(num_groups);
  for (auto& table : block_tables_) table.reserve(max_seqs * static_cast<size_t>(max_blocks_));
  for (auto& mapping : slot_mapping_) mapping.reserve(max_tokens);
  for (auto* v : {&token_ids_, &positions_, &logits_rows_}) v->reserve(max_tokens);
  query_start_.reserve(max_seqs + 1);
  seq_lens_.reserve(max_seqs);
  clear();
}

void CpuBatch::clear() {
  for (auto* v : {&token_ids_, &positions_, &query_start_, &seq_lens_, &logits_rows_}) v->clear();
  for (auto& table : block_tables_) table.clear();
  for (auto& mapping : slot_mapping_) mapping.clear();
  query_start_.push_back(0);
}

Status CpuBatch::add(const SlotState& state, int64_t begin, std::span<const TokenId> tokens) {
  const int64_t end = begin + static_cast<int64_t>(tokens.size());
  if (num_tokens() + end - begin > config_.max_num_batched_tokens ||
      seq_lens_.size() >= static_cast<size_t>(config_.max_num_seqs)) {
    return invalid_argument("the batch is larger than max_num_batched_tokens or max_num_seqs");
  }
  for (size_t g = 0; g < block_tables_.size(); ++g) {
    const std::vector<int32_t>& table = state.block_tables[g];
    if (static_cast<int64_t>(table.size()) * config_.block_size < end ||
        static_cast<int64_t>(table.size()) > max_blocks_) {
      return invalid_argument("{} blocks for {} tokens", table.size(), end);
    }
    for (int64_t p = begin; p < end; ++p) {
      int64_t page = table[static_cast<size_t>(p / config_.block_size)];
      if (page < 0 || page >= config_.num_blocks) return invalid_argument("block {} does not exist", page);
      slot_mapping_[g].push_back(page * config_.block_size + p % config_.block_size);
    }
    std::vector<int32_t>& out = block_tables_[g];
    out.insert(out.end(), table.begin(), table.end());
    out.resize(out.size() + static_cast<size_t>(max_blocks_) - table.size(), 0);
  }
  for (int64_t p = begin; p < end; ++p) positions_.push_back(static_cast<int32_t>(p));
  token_ids_.insert(token_ids_.end(), tokens.begin(), tokens.end());
  seq_lens_.push_back(static_cast<int32_t>(end));
  query_start_.push_back(static_cast<int32_t>(token_ids_.size()));
  return {};
}

model::ForwardBatch CpuBatch::view() const {
  model::ForwardBatch batch;
  batch.token_ids = token_ids_;
  batch.positions = positions_;
  batch.query_start = query_start_;
  batch.seq_lens = seq_lens_;
  batch.logits_rows = logits_rows_;
  auto num_seqs = static_cast<int64_t>(seq_lens_.size());
  for (size_t g = 0; g < block_tables_.size(); ++g) {
    batch.block_tables.emplace_back(TensorView<const int32_t, 2>(block_tables_[g].data(), {num_seqs, max_blocks_}));
    batch.slot_mapping.emplace_back(slot_mapping_[g]);
  }
  return batch;
}

}  // namespace vllm::engine
