#include "engine/exec/cuda/step_planner.h"

#include <algorithm>
#include <cstring>

namespace vllm::engine {

StepPlanner::StepPlanner(PlannerOptions options, const SlotLayout& layout)
    : options_(std::move(options)), layout_(layout), slots_(static_cast<size_t>(options_.engine.max_num_seqs)) {}

Status StepPlanner::plan(const StepInput& input, StepPlan& plan) {
  plan.step = input.step;
  plan.rows.clear(), plan.runs.clear(), plan.payload.clear(), plan.query_start.assign(1, 0), plan.seq_lens.clear();
  plan.shape = {}, plan.num_logits = 0, plan.features = 0;
  plan.decode = is_plain_decode(input);
  plan.mixed.reset();
  plan.num_decodes = 0, plan.longest_decode = plan.decode_keys = 0;
  plan.has_host_rows = plan.has_device_rows = false;
  work_.assign(kWorkHeaderWords, 0);
  for (SlotId slot : input.ended) {
    if (!is_active(slot)) return invalid_argument("step {}: slot {} ended but is not in use", input.step, slot);
    slots_[static_cast<size_t>(slot)] = Slot{};
    options_.on_end(slot);
  }
  for (const SlotStart& s : input.starts) RETURN_IF_ERROR(start(s, plan).with_context("step {}", input.step));
  for (const BlockDelta& d : input.block_deltas) RETURN_IF_ERROR(extend(d, plan).with_context("step {}", input.step));
  for (const SlotWork& w : input.work) RETURN_IF_ERROR(add_work(w, plan).with_context("step {}", input.step));
  for (const PlannedRow& row : plan.rows) slots_[static_cast<size_t>(row.slot)].planned = false;
  if (!plan.decode && max_padded_seqs_ > 0) pad_mixed(plan);
  finish_work(plan);
  return {};
}

Status StepPlanner::start(const SlotStart& start, StepPlan& plan) {
  if (start.slot < 0 || static_cast<size_t>(start.slot) >= slots_.size())
    return invalid_argument("slot {} does not exist", start.slot);
  Slot& slot = slots_[static_cast<size_t>(start.slot)];
  if (slot.active) return invalid_argument("slot {} is already in use", start.slot);
  const auto count = static_cast<int64_t>(start.token_ids.size());
  if (count == 0 || count > options_.engine.max_model_len || start.num_prompt_tokens < 1 ||
      start.num_prompt_tokens > count || start.num_computed_tokens < 0 || start.num_computed_tokens >= count) {
    return invalid_argument("slot {}: {} tokens, {} of the prompt, {} computed", start.slot, count,
                            start.num_prompt_tokens, start.num_computed_tokens);
  }
  for (TokenId token : start.token_ids) {
    if (token < 0 || token >= options_.vocab_size)
      return invalid_argument("slot {}: token id {} is out of vocabulary", start.slot, token);
  }
  ASSIGN_OR_RETURN(SamplingPlace place, options_.on_start(start));
  slot = {.active = true,
          .num_tokens = count,
          .num_prompt = start.num_prompt_tokens,
          .num_computed = start.num_computed_tokens,
          .num_blocks = std::vector<int64_t>(static_cast<size_t>(options_.num_groups)),
          .place = place,
          .logprobs = start.sampling.logprobs.has_value()};
  add_run(plan, layout_.token(start.slot, 0), start.token_ids);
  const int32_t counts[] = {static_cast<int32_t>(slot.num_tokens), static_cast<int32_t>(slot.num_computed),
                            static_cast<int32_t>(slot.num_prompt)};
  add_run(plan, layout_.num_tokens + start.slot, std::span(counts, 1));
  add_run(plan, layout_.num_computed + start.slot, std::span(counts + 1, 1));
  add_run(plan, layout_.num_prompt + start.slot, std::span(counts + 2, 1));
  return {};
}

Status StepPlanner::extend(const BlockDelta& delta, StepPlan& plan) {
  if (!is_active(delta.slot)) return invalid_argument("blocks for slot {}, which is not in use", delta.slot);
  if (delta.group < 0 || delta.group >= options_.num_groups)
    return invalid_argument("KV group {} does not exist", delta.group);
  int64_t& known = slots_[static_cast<size_t>(delta.slot)].num_blocks[static_cast<size_t>(delta.group)];
  const auto end = int64_t{delta.first_index} + static_cast<int64_t>(delta.block_ids.size());
  if (delta.first_index < 0 || delta.first_index > known || end > layout_.max_blocks) {
    return invalid_argument("slot {}: blocks [{}, {}), but the table has {} of at most {}", delta.slot,
                            delta.first_index, end, known, layout_.max_blocks);
  }
  for (int32_t block : delta.block_ids) {
    if (block < 0 || block >= num_blocks_)
      return invalid_argument("slot {}: block {} does not exist", delta.slot, block);
  }
  known = std::max(known, end);
  add_run(plan, layout_.table(delta.group, delta.slot) + delta.first_index, delta.block_ids);
  return {};
}

Status StepPlanner::add_work(const SlotWork& work, StepPlan& plan) {
  if (!is_active(work.slot)) return invalid_argument("work for slot {}, which is not in use", work.slot);
  Slot& slot = slots_[static_cast<size_t>(work.slot)];
  if (slot.planned) return invalid_argument("slot {} has work twice", work.slot);
  slot.planned = true;
  const int64_t begin = slot.num_computed, end = std::min(begin + work.num_tokens, slot.num_tokens);
  if (end <= begin) return invalid_argument("slot {}: nothing left to compute at {} tokens", work.slot, begin);
  if (plan.shape.num_tokens + end - begin > options_.engine.max_num_batched_tokens ||
      plan.rows.size() >= slots_.size()) {
    return invalid_argument("the batch is larger than max_num_batched_tokens or max_num_seqs");
  }
  for (int64_t blocks : slot.num_blocks) {
    if (blocks * options_.engine.block_size < end)
      return invalid_argument("slot {}: {} blocks for {} tokens", work.slot, blocks, end);
  }
  PlannedRow row{.slot = work.slot, .num_tokens = static_cast<int32_t>(end - begin), .begin = begin};
  row.first_logit = plan.num_logits;
  row.samples = work.samples && end == slot.num_tokens;
  row.on_device = slot.place.on_device;
  row.logprobs = slot.logprobs;
  if (work.prompt_logprobs)
    row.num_prompt_rows = static_cast<int32_t>(std::clamp<int64_t>(slot.num_prompt - 1 - begin, 0, end - begin));
  // A sampled row predicts what follows the last known token, a prompt row a known one: never the same row.
  const WorkRow words{.slot = work.slot,
                      .num_tokens = row.num_tokens,
                      .query_start = plan.shape.num_tokens,
                      .first_logit = row.first_logit,
                      .num_prompt_rows = row.num_prompt_rows,
                      .last_row = row.samples && row.on_device ? kSampledRow
                                  : row.samples || plan.decode ? kLogitsRow
                                                               : kNoRow};
  const auto* raw = reinterpret_cast<const int32_t*>(&words);
  work_.insert(work_.end(), raw, raw + kWorkRowWords);
  if (row.num_tokens == 1 && plan.num_decodes == static_cast<int>(plan.rows.size())) {
    ++plan.num_decodes;
    plan.longest_decode = std::max(plan.longest_decode, end), plan.decode_keys += end;
  }
  plan.num_logits += row.num_prompt_rows + (words.last_row != kNoRow ? 1 : 0);
  plan.shape.num_tokens += row.num_tokens;
  plan.query_start.push_back(plan.shape.num_tokens);
  plan.seq_lens.push_back(static_cast<int32_t>(end));
  plan.has_host_rows |= row.num_prompt_rows > 0 || (row.samples && !row.on_device);
  plan.has_device_rows |= words.last_row == kSampledRow;
  if (words.last_row == kSampledRow) plan.features |= slot.place.features;
  slot.num_computed = end;
  slot.num_tokens += row.samples ? 1 : 0;
  plan.rows.push_back(row);
  return {};
}

// Sequences of nothing go between the decodes and the others, so that both begin at a fixed place. Token rows have no
// gap: they are padded at the end.
void StepPlanner::pad_mixed(StepPlan& plan) {
  const int prefills = static_cast<int>(plan.rows.size()) - plan.num_decodes;
  std::optional<MixedBucket> bucket = mixed_bucket(plan.shape.num_tokens, plan.num_decodes, prefills);
  if (!bucket || bucket->num_tokens > max_padded_tokens_ || bucket->decodes + bucket->prefills > max_padded_seqs_)
    return;
  for (const PlannedRow& row : plan.rows) {
    if (row.num_prompt_rows > 0) return;
  }
  const auto real = static_cast<size_t>(plan.num_decodes), padding = static_cast<size_t>(bucket->decodes) - real;
  const WorkRow none{.slot = -1, .query_start = plan.num_decodes};
  const auto* raw = reinterpret_cast<const int32_t*>(&none);
  for (size_t i = 0; i < padding; ++i) {
    const auto place = work_.begin() + kWorkHeaderWords + static_cast<int64_t>(real) * kWorkRowWords;
    work_.insert(place, raw, raw + kWorkRowWords);
  }
  plan.query_start.insert(plan.query_start.begin() + plan.num_decodes + 1, padding, plan.num_decodes);
  plan.seq_lens.insert(plan.seq_lens.begin() + plan.num_decodes, padding, 0);
  plan.mixed = bucket;
}

void StepPlanner::finish_work(StepPlan& plan) {
  const WorkHeader header{.num_seqs = static_cast<int32_t>(plan.seq_lens.size()),
                          .num_tokens = plan.shape.num_tokens,
                          .num_logits = plan.num_logits};
  std::memcpy(work_.data(), &header, sizeof header);
  if (work_ != last_work_) {  // the rows of a steady decode stay as they are
    add_run(plan, layout_.work, work_);
    std::swap(work_, last_work_);
  }
  plan.shape.num_seqs = header.num_seqs;
  plan.shape.num_logits = plan.num_logits;
  if (plan.decode) {
    const int padded = padded_batch(header.num_seqs);
    plan.shape = {.num_seqs = padded, .num_tokens = padded, .num_logits = padded};
  } else if (plan.mixed) {
    plan.shape = {.num_seqs = plan.mixed->decodes + plan.mixed->prefills,
                  .num_tokens = plan.mixed->num_tokens,
                  .num_logits = plan.num_logits == 0 ? 0 : padded_batch(plan.num_logits)};
  } else {
    return;
  }
  plan.query_start.resize(static_cast<size_t>(plan.shape.num_seqs) + 1, header.num_tokens);
  plan.seq_lens.resize(static_cast<size_t>(plan.shape.num_seqs), 0);
}

// Runs are short, so that each is one block's work on the device.
void StepPlanner::add_run(StepPlan& plan, int64_t to, std::span<const int32_t> words) {
  for (size_t at = 0; at < words.size(); at += kMaxRunWords) {
    const std::span<const int32_t> piece = words.subspan(at, std::min<size_t>(kMaxRunWords, words.size() - at));
    plan.runs.push_back({.to = to + static_cast<int64_t>(at),
                         .from = static_cast<int32_t>(plan.payload.size()),
                         .count = static_cast<int32_t>(piece.size())});
    plan.payload.insert(plan.payload.end(), piece.begin(), piece.end());
  }
}

}  // namespace vllm::engine
