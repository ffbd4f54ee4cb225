#include "engine/exec/slot_state.h"

#include <algorithm>

namespace vllm::engine {

SlotTable::SlotTable(int num_slots, int num_groups, int64_t max_model_len, int vocab_size)
    : num_groups_(num_groups),
      max_model_len_(max_model_len),
      vocab_size_(vocab_size),
      slots_(static_cast<size_t>(num_slots)) {}

Status SlotTable::apply(const StepInput& input) {
  for (SlotId slot : input.ended) {
    if (!is_active(slot)) return invalid_argument("step {}: slot {} ended but is not in use", input.step, slot);
    at(slot) = SlotState{};
  }
  for (const SlotStart& s : input.starts) RETURN_IF_ERROR(start(s).with_context("step {}", input.step));
  for (const BlockDelta& d : input.block_deltas) RETURN_IF_ERROR(extend(d).with_context("step {}", input.step));
  return {};
}

Status SlotTable::start(const SlotStart& start) {
  if (start.slot < 0 || static_cast<size_t>(start.slot) >= slots_.size())
    return invalid_argument("slot {} does not exist", start.slot);
  if (at(start.slot).active) return invalid_argument("slot {} is already in use", start.slot);
  auto count = static_cast<int64_t>(start.token_ids.size());
  if (count == 0 || count > max_model_len_ || start.num_prompt_tokens < 1 || start.num_prompt_tokens > count ||
      start.num_computed_tokens < 0 || start.num_computed_tokens >= count) {
    return invalid_argument("slot {}: {} tokens, {} of the prompt, {} computed", start.slot, count,
                            start.num_prompt_tokens, start.num_computed_tokens);
  }
  for (TokenId token : start.token_ids) {
    if (token < 0 || token >= vocab_size_)
      return invalid_argument("slot {}: token id {} is out of vocabulary", start.slot, token);
  }
  SlotState& state = at(start.slot);
  state.active = true;
  // Room for all that can still be sampled, so that no step allocates.
  state.tokens.reserve(static_cast<size_t>(
      std::min(max_model_len_ + 1, start.num_prompt_tokens + std::max(start.sampling.max_tokens, 1) + 1)));
  state.tokens.assign(start.token_ids.begin(), start.token_ids.end());
  state.num_prompt_tokens = start.num_prompt_tokens;
  state.num_computed_tokens = start.num_computed_tokens;
  state.sampling = SamplingState(start.sampling, state.tokens, start.num_prompt_tokens, vocab_size_);
  state.block_tables.assign(static_cast<size_t>(num_groups_), {});
  return {};
}

Status SlotTable::extend(const BlockDelta& delta) {
  if (!is_active(delta.slot)) return invalid_argument("blocks for slot {}, which is not in use", delta.slot);
  if (delta.group < 0 || delta.group >= num_groups_) return invalid_argument("KV group {} does not exist", delta.group);
  std::vector<int32_t>& table = at(delta.slot).block_tables[static_cast<size_t>(delta.group)];
  if (delta.first_index < 0 || static_cast<size_t>(delta.first_index) > table.size()) {
    return invalid_argument("slot {}: blocks from index {} on, but the table has {}", delta.slot, delta.first_index,
                            table.size());
  }
  size_t end = static_cast<size_t>(delta.first_index) + delta.block_ids.size();
  if (end > table.size()) table.resize(end);
  std::copy(delta.block_ids.begin(), delta.block_ids.end(), table.begin() + delta.first_index);
  return {};
}

}  // namespace vllm::engine
