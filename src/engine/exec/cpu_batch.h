#pragma once
// One step's batch for Model::forward, gathered sequence by sequence from the device's slots.
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "engine/exec/slot_state.h"
#include "model/model.h"

namespace vllm::engine {

class CpuBatch {
 public:
  CpuBatch(const EngineConfig& config, size_t num_groups);
  void clear();
  /// Append a sequence that runs `tokens` from position `begin` on; its block tables must cover them.
  Status add(const SlotState& state, int64_t begin, std::span<const TokenId> tokens);
  /// Ask for the logits of the token that was added as number `index` of the last sequence.
  void want_logits(int64_t index) {
    logits_rows_.push_back(query_start_[query_start_.size() - 2] + static_cast<int32_t>(index));
  }

  int64_t num_tokens() const { return static_cast<int64_t>(token_ids_.size()); }
  int64_t num_rows() const { return static_cast<int64_t>(logits_rows_.size()); }
  /// Views of this batch: valid until the next clear or add.
  model::ForwardBatch view() const;

 private:
  EngineConfig config_;
  int64_t max_blocks_;  // columns of block_tables_
  std::vector<int32_t> token_ids_, positions_, query_start_, seq_lens_, logits_rows_;
  std::vector<std::vector<int32_t>> block_tables_;  // per group, [num_seqs, max_blocks] padded with the null block
  std::vector<std::vector<int64_t>> slot_mapping_;  // per group
};

}  // namespace vllm::engine
