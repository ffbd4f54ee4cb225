// What a finished step means: tokens, stops, pages that became known or superfluous.
#include <algorithm>

#include "base/check.h"
#include "engine/sched/scheduler.h"
#include "engine/sched/stop.h"

namespace vllm::engine {

Result<int64_t> Scheduler::apply(StepResult result, Outputs& outputs) {
  if (!result.error.empty()) return error(ErrorCode::kInternal, "{}", result.error);
  if (in_flight_.empty() || in_flight_.front().id != result.step)
    return error(ErrorCode::kInternal, "result of step {}, which is not the oldest in flight", result.step);
  RETURN_IF_ERROR(check_result(in_flight_.front(), result));
  const Step step = std::move(in_flight_.front());
  in_flight_.pop_front();
  ++counters_.num_steps;
  int64_t num_tokens = 0;
  for (size_t i = 0; i < step.items.size(); ++i)
    num_tokens += apply_item(step.items[i], std::move(result.slots[i]), outputs);
  return num_tokens;
}

// A worker may be another process: what it says is checked against the plan before anything changes.
Status Scheduler::check_result(const Step& step, const StepResult& result) const {
  const auto wrong = [&](const char* what, size_t i) {
    return error(ErrorCode::kInternal, "result of step {} does not fit its plan: {} (row {})", step.id, what, i);
  };
  if (result.slots.size() != step.items.size()) return wrong("number of rows", result.slots.size());
  for (size_t i = 0; i < step.items.size(); ++i) {
    const Item& item = step.items[i];
    const SlotResult& row = result.slots[i];
    if (row.slot != item.sequence->slot) return wrong("slot", i);
    const size_t least = item.samples, most = item.samples ? item.num_tokens - item.num_fixed + 1 : 0;
    if (row.token_ids.size() < least || row.token_ids.size() > most) return wrong("number of tokens", i);
    if (row.num_drafts < 0 || row.num_drafts > item.num_tokens - item.num_fixed ||
        (row.num_drafts > 0 && row.token_ids.size() > static_cast<size_t>(row.num_drafts) + 1))
      return wrong("number of drafts", i);
    if (!row.logprobs.empty() && row.logprobs.size() != row.token_ids.size()) return wrong("number of logprobs", i);
    if (row.prompt_logprobs.size() != static_cast<size_t>(item.num_prompt_logprobs))
      return wrong("number of prompt logprobs", i);
  }
  return {};
}

void Scheduler::count_drafts(const SlotResult& result) {
  if (result.num_drafts == 0) return;
  const size_t accepted = result.token_ids.size() - 1;
  ++counters_.num_drafts;
  counters_.num_draft_tokens += static_cast<uint64_t>(result.num_drafts);
  counters_.num_accepted_tokens += accepted;
  for (size_t i = 0; i < accepted; ++i) ++counters_.accepted_per_position[i];
}

// Returns the tokens that ran. The sequence may not exist any more afterwards.
int64_t Scheduler::apply_item(const Item& item, SlotResult result, Outputs& outputs) {
  Sequence& sequence = *item.sequence;
  const int64_t num_sampled = static_cast<int64_t>(result.token_ids.size());
  const int64_t ran = item.samples ? item.num_fixed + num_sampled - 1 : item.num_tokens;
  sequence.pending.steps -= 1;
  sequence.pending.max_tokens -= item.num_tokens;
  sequence.pending.max_outputs -= item.samples ? item.num_tokens - item.num_fixed + 1 : 0;
  const bool drained = sequence.pending.steps == 0 && sequence.state != SequenceState::kRunning;
  if (drained) --num_draining_;
  if (sequence.state == SequenceState::kFinished) {
    if (drained) retire(sequence);
    return ran;  // tokens after the end are dropped
  }

  count_drafts(result);
  sequence.num_computed += ran;
  if (sequence.wants_prompt_logprobs)
    std::move(result.prompt_logprobs.begin(), result.prompt_logprobs.end(),
              std::back_inserter(sequence.prompt_logprobs));
  bool ended = false;
  if (num_sampled > 0) {
    EngineOutput output = output_of(sequence);
    ended = append_tokens(sequence, result, output);
    outputs.push_back(std::move(output));
  }
  // After a stop inside accepted drafts, fewer tokens are kept than were computed.
  const int64_t known = std::min(sequence.num_computed, sequence.num_tokens());
  blocks_.commit(sequence.blocks, std::span(sequence.tokens).first(static_cast<size_t>(known)), sequence.cache_salt);
  if (ended) {
    end(sequence);
  } else if (drained) {
    wait_again(sequence);
  } else {
    blocks_.slide(sequence.blocks, sequence.num_computed);
    blocks_.trim(sequence.blocks, sequence.computed_bound());
  }
  return ran;
}

// Move the sampled tokens to the sequence and its output, up to a stop. True if it ended.
bool Scheduler::append_tokens(Sequence& sequence, SlotResult& result, EngineOutput& output) {
  if (sequence.wants_prompt_logprobs) {
    sequence.wants_prompt_logprobs = false;
    output.prompt_logprobs = std::move(sequence.prompt_logprobs);
    sequence.prompt_logprobs.clear();
  }
  if (sequence.num_outputs() == 0) counters_.num_prompt_tokens += sequence.num_prompt;
  std::optional<StopDecision> stop;
  size_t kept = 0;
  while (kept < result.token_ids.size() && !stop) {
    const TokenId token = result.token_ids[kept++];
    sequence.tokens.push_back(token);
    stop = check_stop(sequence.sampling, token, sequence.num_outputs(), sequence.max_outputs);
  }
  counters_.num_generation_tokens += kept;
  result.token_ids.resize(kept);
  result.logprobs.resize(std::min(kept, result.logprobs.size()));
  output.new_token_ids = std::move(result.token_ids);
  output.logprobs = std::move(result.logprobs);
  if (!stop) return false;
  output.finish_reason = stop->reason;
  output.stop_token = stop->stop_token;
  return true;
}

}  // namespace vllm::engine
