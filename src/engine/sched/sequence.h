#pragma once
// One sequence as the scheduler sees it. Engine thread only.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/kv/block_manager.h"
#include "engine/step.h"
#include "types/types.h"

namespace vllm::engine {

enum class SequenceState {
  kWaiting,     // holds nothing
  kRunning,     // has a slot and pages
  kPreempting,  // was chosen as victim; keeps slot and pages until no step in flight names it, then waits again
  kFinished,    // its last output is out; keeps slot and pages until no step in flight names it, then is gone
};

/// Lower runs first, later is preempted first. `serial` counts arrivals: it breaks ties, and is all there is under
/// fcfs.
struct SequenceOrder {
  int priority = 0;
  uint64_t serial = 0;
  friend auto operator<=>(const SequenceOrder&, const SequenceOrder&) = default;
};

/// What the steps in flight may do to a sequence: nobody knows how many drafts were accepted until they come back.
struct PendingWork {
  int steps = 0;            // that name the sequence
  int64_t max_tokens = 0;   // they advance num_computed by at most this
  int64_t max_outputs = 0;  // and sample at most this many tokens
};

struct Sequence {
  RequestId id = 0;
  SequenceOrder order;
  SequenceState state = SequenceState::kWaiting;
  SamplingParams sampling;
  std::string cache_salt;

  std::vector<TokenId> tokens;  // prompt, then outputs: all that the host knows
  int64_t num_prompt = 0;
  int64_t max_outputs = 0;   // the length limits, resolved
  int64_t num_computed = 0;  // tokens whose KV is in pages, by the steps that came back
  PendingWork pending;
  SlotId slot = -1;
  SequenceBlocks blocks;
  StepId last_planned = 0;  // the newest step that names it; steps count from 1

  std::vector<PositionLogprobs> prompt_logprobs;  // gathered chunk by chunk
  bool wants_prompt_logprobs = false;             // and has not got them yet
  int num_cached_tokens = 0, num_preemptions = 0;
  std::optional<double> scheduled_time_s;

  int64_t num_tokens() const { return static_cast<int64_t>(tokens.size()); }
  int64_t num_outputs() const { return num_tokens() - num_prompt; }
  /// The furthest that num_computed can be when the steps in flight are back.
  int64_t computed_bound() const { return num_computed + pending.max_tokens; }
  int64_t outputs_bound() const { return num_outputs() + pending.max_outputs; }
  /// Known tokens that no step has been given yet. Means nothing once a sampling step is in flight.
  int64_t prefill_left() const { return num_tokens() - computed_bound(); }
  /// True if the next step continues from a sampled token, known or in flight.
  bool decodes() const { return pending.max_outputs > 0 || (num_outputs() > 0 && prefill_left() == 1); }
};

}  // namespace vllm::engine
