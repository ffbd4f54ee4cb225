#pragma once
// A device without a model: it keeps slots, block tables and page contents as a worker would, checks every plan against
// them, and samples tokens that depend on the whole history. Any error in a plan comes back as StepResult::error.
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "engine/step.h"

namespace vllm::engine::testing {

struct FakeDeviceOptions {
  int64_t num_blocks = 0;  // null block included
  int block_size = 4;
  std::vector<int64_t> sliding_windows{0};
  int max_num_seqs = 1 << 20;
  int max_tokens_per_step = 1 << 20;
  int vocab = 1000;
  int phases = 1;     // a sequence may run on for phases - 1 steps after its EOS or stop id
  uint64_t seed = 1;  // of the number of drafts and how many are accepted
};

/// The tokens that the toy model generates after `prompt`: the oracle.
std::vector<TokenId> toy_tokens(std::span<const TokenId> prompt, int count, uint64_t seed, int vocab = 1000);

class FakeDevice {
 public:
  explicit FakeDevice(FakeDeviceOptions options);
  StepResult run(const StepInput& input, const SampleInput& sample);

 private:
  struct Slot {
    std::vector<TokenId> tokens;
    std::vector<uint64_t> history;  // [i] = hash of tokens 0..i
    int64_t num_prompt = 0, num_computed = 0;
    int steps_after_stop = 0;
    bool stopped = false;
    SamplingParams sampling;
    std::vector<std::vector<int32_t>> tables;  // [group]
    void push(TokenId token);
  };
  void start(const SlotStart& start);
  void apply_delta(const BlockDelta& delta);
  SlotResult run_slot(StepId step, const SlotWork& work);
  void check_reads(const Slot& slot) const;
  void write(SlotId id, const Slot& slot, int64_t position, uint64_t history);
  void append(Slot& slot, SlotResult& result);
  int64_t first_visible(size_t group, int64_t position) const;

  const FakeDeviceOptions options_;
  std::map<SlotId, Slot> slots_;
  std::vector<uint64_t> pages_;  // [page, offset]: hash of the history up to the token, and of the group
  StepId last_step_ = 0;
};

}  // namespace vllm::engine::testing
