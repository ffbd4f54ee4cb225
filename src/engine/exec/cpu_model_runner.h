#pragma once
// Runs steps on the CPU: prep (positions, slot mapping, lengths), Model::forward, logits in tiles, sampling. One
// thread.
#include <memory>
#include <vector>

#include "engine/engine.h"
#include "engine/exec/cpu_batch.h"
#include "engine/exec/slot_state.h"
#include "engine/spec/drafter.h"
#include "engine/step.h"
#include "model/model.h"
#include "tensor/buffer.h"

namespace vllm::engine {

class CpuModelRunner {
 public:
  /// `kv_memory` holds config.num_blocks pages of the model's KvCacheSpec and outlives the runner. `drafter` may be
  /// null.
  CpuModelRunner(std::unique_ptr<model::Model> model, const EngineConfig& config, std::byte* kv_memory,
                 ThreadPool& pool, std::unique_ptr<Drafter> drafter = nullptr);

  /// First launch: apply the slot changes and run the model. An error means that the step made no sense.
  Status forward(const StepInput& input);
  /// Second launch: sample the rows that ask for it. Must follow the forward of the same step.
  Result<StepResult> sample(const SampleInput& input);

 private:
  struct Row {             // one row of hidden_ whose logits are wanted
    size_t work = 0;       // index into results_
    int64_t position = 0;  // of the token that went in
    bool samples = false;  // else it serves prompt_logprobs only, as number prompt_row
    size_t prompt_row = 0;
    TokenId draft = kNoDraft;  // what the next row took for granted: the token after this one
  };
  static constexpr TokenId kNoDraft = -1;
  Status propose(const StepInput& input);
  Status add_work(const SlotWork& work, std::span<const TokenId> drafts);
  void finish_tile(const SampleInput& input, size_t first_row, size_t num_rows);
  bool finish_row(const SampleInput& input, const Row& row, std::span<float> logits, SamplerScratch& scratch);

  std::unique_ptr<model::Model> model_;
  EngineConfig config_;
  ThreadPool& pool_;
  model::ForwardContext context_;
  SlotTable slots_;
  std::unique_ptr<Drafter> drafter_;
  int vocab_size_;

  // One step's batch; capacities are reserved once.
  StepId step_ = 0;
  CpuBatch batch_;
  std::vector<DraftRequest> requests_;
  std::vector<std::vector<TokenId>> drafts_;  // by work
  std::vector<TokenId> tokens_;               // of one sequence: known ones and drafts
  std::vector<SlotResult> results_;
  std::vector<Row> rows_;
  std::vector<size_t> runs_;             // first row of what must be finished in order, within a tile, and the end
  std::vector<char> refused_;            // by work: the target disagreed with a draft; later rows mean nothing
  Buffer hidden_, logits_;               // [rows, hidden_size], [tile, vocab]
  std::vector<SamplerScratch> scratch_;  // per thread
};

}  // namespace vllm::engine
