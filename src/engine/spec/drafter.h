#pragma once
// Speculative decoding (Leviathan et al. 2023): somebody cheap proposes the next tokens of a sequence, the model runs
// them all in one step, and those that it would have sampled itself are kept. Random numbers belong to (seed,
// position), so the output is, bit for bit, what the model gives without a drafter; a bad proposal costs time only.
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/exec/slot_state.h"

namespace vllm::engine {

/// One sequence's part in a step that is about to run.
struct DraftRequest {
  SlotId slot = 0;
  const SlotState* state = nullptr;  // tokens: all that is known; block tables cover end + max_drafts tokens
  int64_t end = 0;                   // tokens [0, end) will be computed when the step is done, drafts not counted
  int max_drafts = 0;                // 0: nothing is wanted, but a drafter with a cache of its own may catch up
};

class Drafter {
 public:
  virtual ~Drafter() = default;
  /// A sequence enters a slot; the KV of its first num_computed_tokens came from the prefix cache.
  virtual void start(SlotId slot, int64_t num_computed_tokens) = 0;
  /// Fill drafts[i], at most requests[i].max_drafts tokens that may follow state->tokens (then end is its size). Called
  /// once a step, with every sequence of it.
  virtual Status propose(std::span<const DraftRequest> requests, std::vector<std::vector<TokenId>>& drafts) = 0;
};

}  // namespace vllm::engine
