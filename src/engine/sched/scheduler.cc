#include "engine/sched/scheduler.h"

#include <algorithm>

#include "base/check.h"

namespace vllm::engine {

Scheduler::Scheduler(const EngineConfig& config, BlockManager& blocks, Clock clock)
    : config_(config),
      blocks_(blocks),
      clock_(std::move(clock)),
      // The newest token has no KV yet, so the pool needs one page place less than the sequence has tokens.
      max_len_(std::min(config.max_model_len, blocks.capacity_tokens() > 0 ? blocks.capacity_tokens() + 1 : 0)) {
  counters_.accepted_per_position.assign(static_cast<size_t>(config.num_speculative_tokens), 0);
  // Every slot can decode one token in every step.
  for (SlotId slot = std::min(config.max_num_seqs, config.max_num_batched_tokens); slot-- > 0;)
    free_slots_.push_back(slot);
}

Status Scheduler::check(const EngineRequest& request) const {
  const int64_t length = static_cast<int64_t>(request.prompt_token_ids.size());
  if (length == 0) return invalid_argument("the prompt has no tokens");
  if (request.sampling.max_tokens < 1)
    return invalid_argument("max_tokens must be at least 1, got {}", request.sampling.max_tokens);
  if (length + 1 > config_.max_model_len)
    return invalid_argument("the prompt has {} tokens, which leaves no room for output in the context of {} tokens",
                            length, config_.max_model_len);
  if (length + 1 > max_len_)
    return invalid_argument("the prompt has {} tokens, but the KV cache of {} blocks holds only {}", length,
                            blocks_.num_blocks(), std::max<int64_t>(max_len_ - 1, 0));
  if (!config_.enable_chunked_prefill && length > config_.max_num_batched_tokens)
    return invalid_argument(
        "the prompt has {} tokens; without chunked prefill a step takes {} (--max-num-batched-tokens)", length,
        config_.max_num_batched_tokens);
  return {};
}

std::optional<StepInput> Scheduler::schedule() {
  Plan plan;
  plan.budget = config_.max_num_batched_tokens;
  plan_decodes(plan);
  if (!plan.items.empty() && plan.budget > 0 && config_.enable_chunked_prefill && config_.max_mixed_batch_tokens > 0) {
    const int64_t decode_tokens = config_.max_num_batched_tokens - plan.budget;
    const int64_t most = config_.max_mixed_batch_tokens, least = std::min(config_.min_mixed_batch_tokens, most);
    const auto sequences = static_cast<int64_t>(running_.size() + std::min(waiting_.size(), free_slots_.size()));
    const int64_t tokens = std::clamp(config_.mixed_batch_tokens_per_sequence * sequences, least, most);
    plan.budget = std::clamp<int64_t>(tokens - decode_tokens, 1, plan.budget);
  }
  plan_prefills(plan);
  if (!plan.blocked) plan_waiting(plan);
  if (plan.items.empty()) return std::nullopt;
  plan.input.step = next_step_++;
  plan.input.ended = std::move(ended_slots_);
  ended_slots_.clear();
  in_flight_.push_back({.id = plan.input.step, .items = std::move(plan.items)});
  return std::move(plan.input);
}

void Scheduler::plan_decodes(Plan& plan) {
  std::vector<Sequence*> decodes;
  for (auto& [order, sequence] : running_)
    // At the bound of its length a sequence waits for the result: limits never overshoot.
    if (sequence->decodes() && sequence->outputs_bound() < sequence->max_outputs) decodes.push_back(sequence);
  int64_t left = static_cast<int64_t>(decodes.size());
  for (Sequence* sequence : decodes) {
    --left;
    if (sequence->state != SequenceState::kRunning) continue;  // preempted by one before it
    const int64_t drafts =
        std::clamp<int64_t>(std::min(sequence->max_outputs - sequence->outputs_bound() - 1, plan.budget - 1 - left), 0,
                            config_.num_speculative_tokens);
    if (int64_t n = make_room(plan, *sequence, 1, drafts)) emit(plan, *sequence, n, 1);
  }
}

void Scheduler::plan_prefills(Plan& plan) {
  std::vector<Sequence*> prefills;
  for (auto& [order, sequence] : running_)
    if (!sequence->decodes() && sequence->prefill_left() > 0) prefills.push_back(sequence);
  for (Sequence* sequence : prefills) {
    if (sequence->state != SequenceState::kRunning) continue;
    const int64_t chunk = chunk_of(*sequence, sequence->prefill_left(), plan.budget);
    if (chunk == 0) break;
    if (int64_t n = make_room(plan, *sequence, chunk, 0)) emit(plan, *sequence, n, n);
  }
}

void Scheduler::plan_waiting(Plan& plan) {
  while (plan.budget > 0 && !waiting_.empty() && !free_slots_.empty())
    if (!admit(plan, *waiting_.begin()->second)) break;
}

int64_t Scheduler::chunk_of(const Sequence& sequence, int64_t left, int64_t budget) const {
  int64_t chunk = std::min(left, budget);
  if (config_.enable_chunked_prefill && config_.long_prefill_token_threshold > 0)
    chunk = std::min(chunk, config_.long_prefill_token_threshold);
  return chunk;
}

bool Scheduler::admit(Plan& plan, Sequence& sequence) {
  PrefixHit hit;
  if (!sequence.wants_prompt_logprobs) hit = blocks_.find_prefix(sequence.tokens, sequence.cache_salt);
  const int64_t cached = static_cast<int64_t>(hit.nodes.size()) * blocks_.block_size();
  const int64_t left = sequence.num_tokens() - cached;
  int64_t chunk = chunk_of(sequence, left, plan.budget);
  // Whole or not at all; but what outgrew a step since it was first admitted may run in pieces when nothing else does.
  if (!config_.enable_chunked_prefill && chunk < left && !plan.items.empty()) return false;
  const bool alone = running_.empty() && in_flight_.empty();
  // Others will ask for pages as they grow: enter only if the whole of the known tokens fits now.
  const int64_t wanted = blocks_.pages_needed(sequence.num_tokens(), chunk) - hit.num_pages + hit.num_unused_pages;
  if (!alone && wanted > blocks_.num_free()) return false;

  blocks_.start(sequence.blocks, hit);
  while (chunk > 0 && !blocks_.reserve(sequence.blocks, cached + chunk)) chunk = alone ? chunk / 2 : 0;
  if (chunk == 0) return blocks_.release(sequence.blocks), false;

  waiting_.erase(sequence.order);
  running_.emplace(sequence.order, &sequence);
  sequence.state = SequenceState::kRunning;
  sequence.num_computed = cached;
  sequence.slot = free_slots_.back();
  free_slots_.pop_back();
  if (!sequence.scheduled_time_s) {
    sequence.scheduled_time_s = clock_();
    sequence.num_cached_tokens = static_cast<int>(cached);
    counters_.prefix_cache_queries += config_.enable_prefix_caching ? sequence.num_prompt : 0;
    counters_.prefix_cache_hits += cached;
  }
  plan.input.starts.push_back({.slot = sequence.slot,
                               .token_ids = sequence.tokens,
                               .num_prompt_tokens = sequence.num_prompt,
                               .num_computed_tokens = cached,
                               .sampling = sequence.sampling});
  emit(plan, sequence, chunk, chunk);
  return true;
}

// Get pages for the next tokens of a running sequence, by preemption if need be. Returns how many tokens may run: all,
// fewer (drafts are dropped first), or 0: then it has to wait, or was preempted itself.
int64_t Scheduler::make_room(Plan& plan, Sequence& sequence, int64_t num_fixed, int64_t num_drafts) {
  for (;;) {
    if (blocks_.reserve(sequence.blocks, sequence.computed_bound() + num_fixed + num_drafts))
      return num_fixed + num_drafts;
    if (num_drafts > 0) {
      num_drafts = 0;
      continue;
    }
    plan.blocked = true;
    if (num_draining_ > 0) return 0;  // pages will come back
    auto victim = running_.end();
    for (auto it = running_.rbegin(); it != running_.rend() && it->second != &sequence; ++it)
      if (it->second->last_planned != next_step_) {
        victim = std::prev(it.base());
        break;
      }
    if (victim != running_.end()) {
      preempt(*victim->second);
      continue;
    }
    // Nobody after this one can give way. While others run it keeps what it has and waits for pages, unless somebody
    // who goes before it is waiting; alone, it runs a smaller chunk, which a pool of this size always has room for.
    const bool others_move = !plan.items.empty() || !in_flight_.empty();
    const bool in_the_way =
        !waiting_.empty() && waiting_.begin()->first < sequence.order && sequence.pending.steps == 0;
    if (others_move && !in_the_way) return 0;
    if (!others_move && running_.size() == 1 && num_fixed > 1) {
      num_fixed /= 2;
      continue;
    }
    preempt(sequence);
    return 0;
  }
}

// Put the sequence's share into the plan: num_tokens, of which the first num_fixed exist for certain.
void Scheduler::emit(Plan& plan, Sequence& sequence, int64_t num_tokens, int64_t num_fixed) {
  const bool samples = sequence.pending.max_outputs > 0 || num_fixed == sequence.prefill_left();
  for (size_t group = 0; group < sequence.blocks.tables.size(); ++group) {
    SequenceBlocks::Table& table = sequence.blocks.tables[group];
    if (table.num_sent == table.ids.size()) continue;
    plan.input.block_deltas.push_back(
        {.slot = sequence.slot,
         .group = static_cast<int32_t>(group),
         .first_index = static_cast<int32_t>(table.num_sent),
         .block_ids = {table.ids.begin() + static_cast<ptrdiff_t>(table.num_sent), table.ids.end()}});
    table.num_sent = table.ids.size();
  }
  // The last prompt token predicts the first output: its row is no prompt logprob.
  const int64_t prompt_rows =
      sequence.wants_prompt_logprobs
          ? std::clamp<int64_t>(sequence.num_prompt - 1 - sequence.computed_bound(), 0, num_tokens)
          : 0;
  plan.input.work.push_back({.slot = sequence.slot,
                             .num_tokens = static_cast<int32_t>(num_tokens),
                             .samples = samples,
                             .prompt_logprobs = prompt_rows > 0});
  plan.items.push_back({.sequence = &sequence,
                        .num_tokens = static_cast<int32_t>(num_tokens),
                        .num_fixed = static_cast<int32_t>(num_fixed),
                        .samples = samples,
                        .num_prompt_logprobs = static_cast<int32_t>(prompt_rows)});
  plan.budget -= num_tokens;
  sequence.last_planned = next_step_;
  sequence.pending.steps += 1;
  sequence.pending.max_tokens += num_tokens;
  sequence.pending.max_outputs += samples ? num_tokens - num_fixed + 1 : 0;
}

}  // namespace vllm::engine
