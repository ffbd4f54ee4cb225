#pragma once
// The host's side of a step on a GPU: checks what the scheduler sent, keeps the counts of every slot, and says what has
// to be uploaded and launched. Knows no CUDA.
//
// Nothing speculates yet, so the counts are exact, although sampled tokens are known to the device only.
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/engine.h"
#include "engine/exec/cuda/graph_buckets.h"
#include "engine/exec/cuda/slot_arrays.h"
#include "engine/step.h"

namespace vllm::engine {

/// How a slot's tokens are sampled.
struct SamplingPlace {
  bool on_device = true;
  uint32_t features = 0;  // of the device's sampler
};

struct PlannerOptions {
  EngineConfig engine;  // num_blocks is not read: set_num_blocks
  int num_groups = 1;
  int vocab_size = 0;
  // Called in order while a step is planned: a sequence enters a slot, and leaves it.
  std::function<Result<SamplingPlace>(const SlotStart&)> on_start;
  std::function<void(SlotId)> on_end;
};

/// A row of StepInput::work, and where its results are.
struct PlannedRow {
  SlotId slot = 0;
  int32_t num_tokens = 0;
  int64_t begin = 0;  // position of its first token
  int32_t first_logit = 0;
  int32_t num_prompt_rows = 0;  // logits rows of its first tokens, for prompt_logprobs
  bool samples = false;
  bool on_device = true;  // who samples
  bool logprobs = false;  // of the sampled token
  int32_t last_logit() const { return first_logit + num_prompt_rows; }
};

struct StepPlan {
  StepId step = 0;
  std::vector<PlannedRow> rows;
  std::vector<CopyRun> runs;                   // to apply before the batch is prepared; none overlap
  std::vector<int32_t> payload;                // of the runs
  BatchShape shape;                            // padded
  int num_logits = 0;                          // real
  bool decode = false;                         // is_plain_decode
  std::optional<MixedBucket> mixed;            // what the step was padded to
  bool has_host_rows = false;                  // logits that the host reads
  bool has_device_rows = false;                // rows that the device samples
  uint32_t features = 0;                       // of these
  std::vector<int32_t> query_start, seq_lens;  // as the device will have them, padded
  // The sequences in front that run one token each.
  int num_decodes = 0;
  int64_t longest_decode = 0, decode_keys = 0;  // their largest length, and all together
};

class StepPlanner {
 public:
  StepPlanner(PlannerOptions options, const SlotLayout& layout);
  void set_num_blocks(int64_t num_blocks) { num_blocks_ = num_blocks; }
  /// From here on steps that prefill are padded to a MixedBucket, where that has at most so many.
  void pad_mixed_steps(int64_t max_tokens, int64_t max_seqs) {
    max_padded_tokens_ = max_tokens, max_padded_seqs_ = max_seqs;
  }
  /// Check and apply. After an error the planner is not to be used any more.
  Status plan(const StepInput& input, StepPlan& plan);

 private:
  struct Slot {
    bool active = false;
    int64_t num_tokens = 0, num_prompt = 0, num_computed = 0;
    std::vector<int64_t> num_blocks;  // per group
    SamplingPlace place;
    bool logprobs = false;
    bool planned = false;  // has its work in the step at hand
  };
  Status start(const SlotStart& start, StepPlan& plan);
  Status extend(const BlockDelta& delta, StepPlan& plan);
  Status add_work(const SlotWork& work, StepPlan& plan);
  void pad_mixed(StepPlan& plan);
  void finish_work(StepPlan& plan);
  static void add_run(StepPlan& plan, int64_t to, std::span<const int32_t> words);
  bool is_active(SlotId slot) const {
    return slot >= 0 && static_cast<size_t>(slot) < slots_.size() && slots_[static_cast<size_t>(slot)].active;
  }

  const PlannerOptions options_;
  const SlotLayout layout_;
  int64_t num_blocks_ = 0;
  int64_t max_padded_tokens_ = 0, max_padded_seqs_ = 0;
  std::vector<Slot> slots_;
  std::vector<int32_t> work_, last_work_;  // header and rows, as words
};

}  // namespace vllm::engine
