#pragma once
// Runs steps on the CPU: prep (positions, slot mapping, lengths), Model::forward, logits in tiles, sampling. One
// thread.
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "engine/exec/slot_state.h"
#include "engine/step.h"
#include "model/model.h"
#include "tensor/buffer.h"

namespace vllm::engine {

class CpuModelRunner {
 public:
  /// `kv_memory` holds config.num_blocks pages of the model's KvCacheSpec and outlives the runner.
  CpuModelRunner(std::unique_ptr<model::Model> model, const EngineConfig& config, std::byte* kv_memory,
                 ThreadPool& pool);

  /// First launch: apply the slot changes and run the model. An error means that the step made no sense.
  Status forward(const StepInput& input);
  /// Second launch: sample the rows that ask for it. Must follow the forward of the same step.
  Result<StepResult> sample(const SampleInput& input);

 private:
  struct Row {             // one row of hidden_ whose logits are wanted
    size_t work = 0;       // index into work_
    int64_t position = 0;  // of the token that went in
    bool samples = false;  // else it serves prompt_logprobs only
  };
  Status prepare(const StepInput& input);
  Status add_work(const SlotWork& work);
  void finish_tile(const SampleInput& input, size_t first_row, size_t num_rows, std::vector<TokenId>& sampled);

  std::unique_ptr<model::Model> model_;
  EngineConfig config_;
  ThreadPool& pool_;
  model::ForwardContext context_;
  SlotTable slots_;
  int vocab_size_;

  // One step's batch; capacities are reserved once.
  StepId step_ = 0;
  std::vector<SlotWork> work_;
  std::vector<SlotResult> results_;
  std::vector<Row> rows_;
  std::vector<int32_t> token_ids_, positions_, query_start_, seq_lens_, logits_rows_;
  std::vector<std::vector<int32_t>> block_tables_;  // per group, [num_seqs, max_blocks] padded with the null block
  std::vector<std::vector<int64_t>> slot_mapping_;  // per group
  int64_t max_blocks_;                              // columns of block_tables_
  Buffer hidden_, logits_;                          // [rows, hidden_size], [tile, vocab]
  std::vector<SamplerScratch> scratch_;             // per thread
};

}  // namespace vllm::engine
