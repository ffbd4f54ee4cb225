// How sequences enter, give way and leave: the only code that changes their state, except admission and apply.
#include <algorithm>

#include "base/check.h"
#include "engine/sched/scheduler.h"

namespace vllm::engine {

void Scheduler::add(EngineRequest request) {
  auto sequence = std::make_unique<Sequence>();
  sequence->id = request.id;
  sequence->order = {.priority = config_.policy == EngineConfig::Policy::kPriority ? request.priority : 0,
                     .serial = next_serial_++};
  sequence->sampling = std::move(request.sampling);
  sequence->cache_salt = std::move(request.cache_salt);
  sequence->tokens = std::move(request.prompt_token_ids);
  sequence->num_prompt = sequence->num_tokens();
  sequence->max_outputs = std::min<int64_t>(sequence->sampling.max_tokens, max_len_ - sequence->num_prompt);
  sequence->wants_prompt_logprobs = sequence->sampling.prompt_logprobs.has_value();
  waiting_.emplace(sequence->order, sequence.get());
  CHECK(open_.emplace(request.id, sequence.get()).second);
  sequences_.emplace(sequence->order.serial, std::move(sequence));
}

void Scheduler::abort(RequestId id, Outputs& outputs) {
  auto found = open_.find(id);
  if (found == open_.end()) return;
  EngineOutput output = output_of(*found->second);
  output.finish_reason = FinishReason::kAbort;
  outputs.push_back(std::move(output));
  end(*found->second);
}

void Scheduler::end_all(FinishReason reason, const std::string& error, Outputs& outputs) {
  std::vector<Sequence*> open;
  for (auto& [id, sequence] : open_) open.push_back(sequence);
  std::sort(open.begin(), open.end(), [](Sequence* a, Sequence* b) { return a->order < b->order; });
  for (Sequence* sequence : open) {
    EngineOutput output = output_of(*sequence);
    output.finish_reason = reason;
    output.error = error;
    outputs.push_back(std::move(output));
    end(*sequence);
  }
}

void Scheduler::preempt(Sequence& sequence) {
  running_.erase(sequence.order);
  sequence.state = SequenceState::kPreempting;
  ++sequence.num_preemptions;
  ++counters_.num_preemptions;
  if (sequence.pending.steps > 0)
    ++num_draining_;
  else
    wait_again(sequence);
}

// Back to the queue, to be computed anew from its tokens (or from what the prefix cache still has of them).
void Scheduler::wait_again(Sequence& sequence) {
  release(sequence);
  sequence.prompt_logprobs.clear();
  sequence.state = SequenceState::kWaiting;
  waiting_.emplace(sequence.order, &sequence);
}

// The last output of the sequence is out. It may not exist any more on return.
void Scheduler::end(Sequence& sequence) {
  if (sequence.state == SequenceState::kWaiting) waiting_.erase(sequence.order);
  if (sequence.state == SequenceState::kRunning) {
    running_.erase(sequence.order);
    if (sequence.pending.steps > 0) ++num_draining_;
  }
  sequence.state = SequenceState::kFinished;
  open_.erase(sequence.id);
  if (sequence.pending.steps == 0) retire(sequence);
}

void Scheduler::retire(Sequence& sequence) {
  release(sequence);
  sequences_.erase(sequence.order.serial);
}

// Slot and pages become free, and the device is told with the next step. No step in flight may name them.
void Scheduler::release(Sequence& sequence) {
  CHECK(sequence.pending.steps == 0);
  if (sequence.slot < 0) return;
  blocks_.release(sequence.blocks);
  free_slots_.push_back(sequence.slot);
  ended_slots_.push_back(sequence.slot);
  sequence.slot = -1;
}

EngineOutput Scheduler::output_of(const Sequence& sequence) const {
  EngineOutput output;
  output.id = sequence.id;
  output.num_cached_tokens = sequence.num_cached_tokens;
  output.num_preemptions = sequence.num_preemptions;
  output.scheduled_time_s = sequence.scheduled_time_s.value_or(0);
  return output;
}

}  // namespace vllm::engine
