#include "engine/exec/cpu_model_runner.h"

#include <algorithm>

namespace vllm::engine {
namespace {
constexpr size_t kLogitsTile = 32;  // rows of logits at a time: 32 x 152k floats are 19 MB
}

CpuModelRunner::CpuModelRunner(std::unique_ptr<model::Model> model, const EngineConfig& config, std::byte* kv_memory,
                               ThreadPool& pool, std::unique_ptr<Drafter> drafter)
    : model_(std::move(model)),
      config_(config),
      pool_(pool),
      slots_(config.max_num_seqs, static_cast<int>(model_->kv_spec().groups.size()), config.max_model_len,
             static_cast<int>(model_->config().vocab_size)),
      drafter_(std::move(drafter)),
      vocab_size_(static_cast<int>(model_->config().vocab_size)),
      batch_(config, model_->kv_spec().groups.size()) {
  context_ = {.kv = {.base = kv_memory,
                     .num_blocks = config.num_blocks,
                     .block_size = config.block_size,
                     .spec = &model_->kv_spec()},
              .pool = &pool};
  auto max_tokens = static_cast<size_t>(config.max_num_batched_tokens),
       max_seqs = static_cast<size_t>(config.max_num_seqs);
  model_->reserve(config.max_num_batched_tokens, config.max_num_seqs);
  requests_.reserve(max_seqs);
  drafts_.resize(max_seqs);
  refused_.reserve(max_seqs);
  rows_.reserve(max_tokens);
  runs_.reserve(kLogitsTile + 1);
  hidden_ = Buffer(max_tokens * static_cast<size_t>(model_->config().hidden_size) * sizeof(float));
  logits_ = Buffer(kLogitsTile * static_cast<size_t>(vocab_size_) * sizeof(float));
  for (int i = 0; i < pool.num_threads(); ++i) scratch_.emplace_back(vocab_size_);
}

Status CpuModelRunner::forward(const StepInput& input) {
  RETURN_IF_ERROR(slots_.apply(input));
  step_ = input.step;
  batch_.clear(), results_.clear(), rows_.clear(), refused_.clear();
  if (input.work.size() > static_cast<size_t>(config_.max_num_seqs))
    return invalid_argument("step {}: the batch is larger than max_num_seqs", input.step);
  RETURN_IF_ERROR(propose(input).with_context("step {}", input.step));
  for (size_t i = 0; i < input.work.size(); ++i)
    RETURN_IF_ERROR(
        add_work(input.work[i], drafts_[i]).with_context("step {}, slot {}", input.step, input.work[i].slot));
  if (batch_.num_tokens() == 0) return {};
  model_->forward(batch_.view(), context_,
                  TensorView<float, 2>(hidden_.as<float>(), {batch_.num_rows(), model_->config().hidden_size}));
  return {};
}

// Room in the step's plan beyond the known tokens is for drafts.
Status CpuModelRunner::propose(const StepInput& input) {
  requests_.clear();
  for (const SlotStart& start : input.starts)
    if (drafter_) drafter_->start(start.slot, start.num_computed_tokens);
  for (size_t i = 0; i < input.work.size(); ++i) {
    const SlotWork& work = input.work[i];
    drafts_[i].clear();
    if (!slots_.is_active(work.slot)) return invalid_argument("work for slot {}, which is not in use", work.slot);
    const SlotState& state = slots_.at(work.slot);
    const auto known = static_cast<int64_t>(state.tokens.size());
    const int64_t bound = state.num_computed_tokens + work.num_tokens;
    requests_.push_back({.slot = work.slot,
                         .state = &state,
                         .end = std::min(bound, known),
                         .max_drafts = work.samples ? static_cast<int>(std::max<int64_t>(bound - known, 0)) : 0});
  }
  return drafter_ ? drafter_->propose(requests_, drafts_) : Status();
}

Status CpuModelRunner::add_work(const SlotWork& work, std::span<const TokenId> drafts) {
  SlotState& state = slots_.at(work.slot);
  const int64_t begin = state.num_computed_tokens, known = static_cast<int64_t>(state.tokens.size());
  const int64_t end = std::min(begin + work.num_tokens, known);
  if (end <= begin) return invalid_argument("nothing left to compute at {} tokens", begin);
  tokens_.assign(state.tokens.begin() + begin, state.tokens.begin() + end);
  tokens_.insert(tokens_.end(), drafts.begin(), drafts.end());
  RETURN_IF_ERROR(batch_.add(state, begin, tokens_));
  const bool samples = work.samples && end == known;
  SlotResult result{.slot = work.slot, .num_drafts = static_cast<int32_t>(drafts.size())};
  for (int64_t p = begin; p < begin + static_cast<int64_t>(tokens_.size()); ++p) {
    const bool sampled = samples && p >= end - 1;
    const bool prompt = work.prompt_logprobs && p + 1 < state.num_prompt_tokens;
    if (!sampled && !prompt) continue;
    batch_.want_logits(p - begin);
    const auto next = static_cast<size_t>(p + 1 - begin);
    rows_.push_back({.work = results_.size(),
                     .position = p,
                     .samples = sampled,
                     .prompt_row = result.prompt_logprobs.size(),
                     .draft = sampled && next < tokens_.size() ? tokens_[next] : kNoDraft});
    if (!sampled) result.prompt_logprobs.emplace_back();
  }
  results_.push_back(std::move(result));
  refused_.push_back(0);
  state.num_computed_tokens = end;  // grows with every draft that is accepted
  return {};
}

Result<StepResult> CpuModelRunner::sample(const SampleInput& input) {
  if (input.step != step_)
    return invalid_argument("sampling of step {} after the forward of step {}", input.step, step_);
  for (size_t first = 0; first < rows_.size(); first += kLogitsTile)
    finish_tile(input, first, std::min(kLogitsTile, rows_.size() - first));
  StepResult result{.step = step_};
  result.slots = std::move(results_);
  return result;
}

void CpuModelRunner::finish_tile(const SampleInput& input, size_t first_row, size_t num_rows) {
  const int64_t begin = static_cast<int64_t>(first_row), count = static_cast<int64_t>(num_rows);
  TensorView<float, 2> hidden(hidden_.as<float>(), {batch_.num_rows(), model_->config().hidden_size});
  TensorView<float, 2> logits(logits_.as<float>(), {count, vocab_size_});
  model_->compute_logits(hidden.slice(begin, begin + count), context_, logits);

  // Rows side by side, but those that sample for one sequence in their order: each depends on the token of the one
  // before.
  runs_.clear();
  for (size_t i = 0; i < num_rows; ++i) {
    const Row& row = rows_[first_row + i];
    const bool follows =
        i > 0 && row.samples && rows_[first_row + i - 1].samples && rows_[first_row + i - 1].work == row.work;
    if (!follows) runs_.push_back(i);
  }
  const auto num_runs = static_cast<int64_t>(runs_.size());
  runs_.push_back(num_rows);
  pool_.parallel_for(num_runs, [&](int64_t run, int thread) {
    for (size_t i = runs_[static_cast<size_t>(run)]; i < runs_[static_cast<size_t>(run) + 1]; ++i) {
      const Row& row = rows_[first_row + i];
      if (refused_[row.work]) break;
      std::span<float> values(logits.row(static_cast<int64_t>(i)), static_cast<size_t>(vocab_size_));
      if (!finish_row(input, row, values, scratch_[static_cast<size_t>(thread)])) refused_[row.work] = 1;
    }
  });
}

// False if the next row stands on a draft that is not the token sampled here.
bool CpuModelRunner::finish_row(const SampleInput& input, const Row& row, std::span<float> logits,
                                SamplerScratch& scratch) {
  SlotResult& result = results_[row.work];
  SlotState& state = slots_.at(result.slot);
  const SamplingParams& params = state.sampling.params();
  if (!row.samples) {
    result.prompt_logprobs[row.prompt_row] = row_logprobs(logits, state.tokens[static_cast<size_t>(row.position) + 1],
                                                          params.prompt_logprobs.value_or(0), {}, scratch);
    return true;
  }
  if (params.logprobs) scratch.raw.assign(logits.begin(), logits.end());
  std::span<const uint32_t> grammar;
  for (const GrammarMask& mask : input.masks) {
    if (mask.slot == result.slot && mask.position == row.position + 1) grammar = mask.bits;
  }
  state.sampling.adjust_logits(logits, state.tokens, state.num_prompt_tokens, grammar);
  const int64_t output_position = static_cast<int64_t>(state.tokens.size()) - state.num_prompt_tokens;
  const TokenId token = sample_token(logits, params, output_position, scratch);
  if (params.logprobs) {
    result.logprobs.push_back(row_logprobs(scratch.raw, token, *params.logprobs, params.logprob_token_ids, scratch));
  }
  state.tokens.push_back(token);
  state.sampling.append(token);
  result.token_ids.push_back(token);
  if (row.draft != token) return false;
  ++state.num_computed_tokens;
  return true;
}

}  // namespace vllm::engine
