#pragma once
// What the device owns of one sequence: its token history, how much of it is computed, its block tables and sampling
// state.
#include <cstdint>
#include <vector>

#include "engine/sample/sampler.h"
#include "engine/step.h"

namespace vllm::engine {

struct SlotState {
  bool active = false;
  std::vector<TokenId> tokens;  // prompt and everything sampled; capacity for the whole context
  int64_t num_prompt_tokens = 0;
  int64_t num_computed_tokens = 0;  // whose KV is in the cache
  int64_t num_output_before = 0;    // outputs that were there when the sequence (re-)entered its slot
  SamplingState sampling;
  std::vector<std::vector<int32_t>> block_tables;  // per KV group
};

/// All slots of a device, changed by the head of each StepInput and by sampling.
class SlotTable {
 public:
  SlotTable(int num_slots, int num_groups, int64_t max_model_len, int vocab_size);
  /// Apply `ended`, `starts` and `block_deltas`. kInvalidArgument for values no correct scheduler sends (another rank's
  /// bytes may have crossed a network).
  Status apply(const StepInput& input);
  SlotState& at(SlotId slot) { return slots_[static_cast<size_t>(slot)]; }
  bool is_active(SlotId slot) const {
    return slot >= 0 && static_cast<size_t>(slot) < slots_.size() && slots_[static_cast<size_t>(slot)].active;
  }

 private:
  Status start(const SlotStart& start);
  Status extend(const BlockDelta& delta);

  int num_groups_;
  int64_t max_model_len_;
  int vocab_size_;
  std::vector<SlotState> slots_;
};

}  // namespace vllm::engine
