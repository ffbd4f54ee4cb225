#pragma once
// What a GPU engine does with logits on the host: sampling of slots whose parameters the device does not cover, and
// prompt logprobs. Knows no CUDA.
#include <unordered_map>
#include <vector>

#include "engine/sample/sampler.h"
#include "engine/step.h"

namespace vllm::engine {

class HostRows {
 public:
  explicit HostRows(int vocab_size) : vocab_size_(vocab_size), scratch_(vocab_size) {}

  /// A sequence enters a slot that the host samples, or that wants prompt logprobs.
  void start(const SlotStart& start);
  void end(SlotId slot) { slots_.erase(slot); }
  /// The figures of the prompt token that follows `position`.
  PositionLogprobs prompt_logprobs(SlotId slot, int64_t position, std::span<const float> logits);
  /// Sample the slot's next token; `logits` are changed in place.
  struct Sampled {
    TokenId token = 0;
    PositionLogprobs logprobs;  // if asked for
  };
  Sampled sample(SlotId slot, std::span<float> logits, std::span<const uint32_t> grammar);

 private:
  struct Slot {
    std::vector<TokenId> tokens;  // the prompt; with a host sampler all that is known
    int64_t num_prompt = 0;
    SamplingState sampling;
  };
  int vocab_size_;
  SamplerScratch scratch_;
  std::unordered_map<SlotId, Slot> slots_;
};

}  // namespace vllm::engine
