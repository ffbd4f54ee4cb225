#include "engine/exec/cpu_model_runner.h"

#include <algorithm>

namespace vllm::engine {
namespace {
constexpr size_t kLogitsTile = 32;  // rows of logits at a time: 32 x 152k floats are 19 MB
}

CpuModelRunner::CpuModelRunner(std::unique_ptr<model::Model> model, const EngineConfig& config, std::byte* kv_memory,
                               ThreadPool& pool)
    : model_(std::move(model)),
      config_(config),
      pool_(pool),
      slots_(config.max_num_seqs, static_cast<int>(model_->kv_spec().groups.size()), config.max_model_len,
             static_cast<int>(model_->config().vocab_size)),
      vocab_size_(static_cast<int>(model_->config().vocab_size)),
      max_blocks_((config.max_model_len + config.block_size - 1) / config.block_size) {
  context_ = {.kv = {.base = kv_memory,
                     .num_blocks = config.num_blocks,
                     .block_size = config.block_size,
                     .spec = &model_->kv_spec()},
              .pool = &pool};
  auto max_tokens = static_cast<size_t>(config.max_num_batched_tokens),
       max_seqs = static_cast<size_t>(config.max_num_seqs);
  model_->reserve(config.max_num_batched_tokens, config.max_num_seqs);
  size_t groups = model_->kv_spec().groups.size();
  block_tables_.resize(groups);
  slot_mapping_.resize(groups);
  for (auto& table : block_tables_) table.reserve(max_seqs * static_cast<size_t>(max_blocks_));
  for (auto& mapping : slot_mapping_) mapping.reserve(max_tokens);
  for (auto* v : {&token_ids_, &positions_, &logits_rows_}) v->reserve(max_tokens);
  query_start_.reserve(max_seqs + 1);
  seq_lens_.reserve(max_seqs);
  work_.reserve(max_seqs);
  rows_.reserve(max_tokens);
  hidden_ = Buffer(max_tokens * static_cast<size_t>(model_->config().hidden_size) * sizeof(float));
  logits_ = Buffer(kLogitsTile * static_cast<size_t>(vocab_size_) * sizeof(float));
  for (int i = 0; i < pool.num_threads(); ++i) scratch_.emplace_back(vocab_size_);
}

Status CpuModelRunner::forward(const StepInput& input) {
  RETURN_IF_ERROR(slots_.apply(input));
  RETURN_IF_ERROR(prepare(input));
  if (token_ids_.empty()) return {};
  model::ForwardBatch batch;
  batch.token_ids = token_ids_;
  batch.positions = positions_;
  batch.query_start = query_start_;
  batch.seq_lens = seq_lens_;
  batch.logits_rows = logits_rows_;
  auto num_seqs = static_cast<int64_t>(seq_lens_.size());
  for (size_t g = 0; g < block_tables_.size(); ++g) {
    batch.block_tables.emplace_back(TensorView<const int32_t, 2>(block_tables_[g].data(), {num_seqs, max_blocks_}));
    batch.slot_mapping.emplace_back(slot_mapping_[g]);
  }
  int64_t hidden_size = model_->config().hidden_size;
  model_->forward(batch, context_,
                  TensorView<float, 2>(hidden_.as<float>(), {static_cast<int64_t>(rows_.size()), hidden_size}));
  return {};
}

Status CpuModelRunner::prepare(const StepInput& input) {
  step_ = input.step;
  work_.clear(), results_.clear(), rows_.clear(), token_ids_.clear(), positions_.clear();
  query_start_.clear(), seq_lens_.clear(), logits_rows_.clear();
  for (auto& table : block_tables_) table.clear();
  for (auto& mapping : slot_mapping_) mapping.clear();
  query_start_.push_back(0);
  for (const SlotWork& work : input.work) RETURN_IF_ERROR(add_work(work).with_context("step {}", input.step));
  return {};
}

Status CpuModelRunner::add_work(const SlotWork& work) {
  if (!slots_.is_active(work.slot)) return invalid_argument("work for slot {}, which is not in use", work.slot);
  SlotState& state = slots_.at(work.slot);
  int64_t begin = state.num_computed_tokens;
  int64_t end = std::min(begin + work.num_tokens, static_cast<int64_t>(state.tokens.size()));
  if (end <= begin) return invalid_argument("slot {}: nothing left to compute at {} tokens", work.slot, begin);
  if (static_cast<int64_t>(token_ids_.size()) + end - begin > config_.max_num_batched_tokens ||
      work_.size() >= static_cast<size_t>(config_.max_num_seqs)) {
    return invalid_argument("the batch is larger than max_num_batched_tokens or max_num_seqs");
  }
  for (size_t g = 0; g < block_tables_.size(); ++g) {
    const std::vector<int32_t>& table = state.block_tables[g];
    if (static_cast<int64_t>(table.size()) * config_.block_size < end ||
        static_cast<int64_t>(table.size()) > max_blocks_) {
      return invalid_argument("slot {}: {} blocks for {} tokens", work.slot, table.size(), end);
    }
    for (int64_t p = begin; p < end; ++p) {
      int64_t page = table[static_cast<size_t>(p / config_.block_size)];
      if (page < 0 || page >= config_.num_blocks)
        return invalid_argument("slot {}: block {} does not exist", work.slot, page);
      slot_mapping_[g].push_back(page * config_.block_size + p % config_.block_size);
    }
    std::vector<int32_t>& out = block_tables_[g];
    out.insert(out.end(), table.begin(), table.end());
    out.resize(out.size() + static_cast<size_t>(max_blocks_) - table.size(), 0);
  }
  bool samples = work.samples && end == static_cast<int64_t>(state.tokens.size());
  for (int64_t p = begin; p < end; ++p) {
    bool last = samples && p == end - 1;
    bool prompt = work.prompt_logprobs && p + 1 < state.num_prompt_tokens;
    if (last || prompt) {
      logits_rows_.push_back(static_cast<int32_t>(token_ids_.size()));
      rows_.push_back({.work = work_.size(), .position = p, .samples = last});
    }
    token_ids_.push_back(state.tokens[static_cast<size_t>(p)]);
    positions_.push_back(static_cast<int32_t>(p));
  }
  work_.push_back(work);
  results_.push_back({.slot = work.slot});
  seq_lens_.push_back(static_cast<int32_t>(end));
  query_start_.push_back(static_cast<int32_t>(token_ids_.size()));
  state.num_computed_tokens = end;
  return {};
}

Result<StepResult> CpuModelRunner::sample(const SampleInput& input) {
  if (input.step != step_)
    return invalid_argument("sampling of step {} after the forward of step {}", input.step, step_);
  std::vector<TokenId> sampled(kLogitsTile);
  for (size_t first = 0; first < rows_.size(); first += kLogitsTile) {
    finish_tile(input, first, std::min(kLogitsTile, rows_.size() - first), sampled);
  }
  StepResult result{.step = step_};
  result.slots = std::move(results_);
  return result;
}

void CpuModelRunner::finish_tile(const SampleInput& input, size_t first_row, size_t num_rows,
                                 std::vector<TokenId>& sampled) {
  int64_t hidden_size = model_->config().hidden_size, begin = static_cast<int64_t>(first_row),
          count = static_cast<int64_t>(num_rows);
  TensorView<float, 2> hidden(hidden_.as<float>(), {static_cast<int64_t>(rows_.size()), hidden_size});
  TensorView<float, 2> logits(logits_.as<float>(), {count, vocab_size_});
  model_->compute_logits(hidden.slice(begin, begin + count), context_, logits);

  std::vector<PositionLogprobs> logprobs(num_rows);
  pool_.parallel_for(count, [&](int64_t i, int thread) {
    const Row& row = rows_[first_row + static_cast<size_t>(i)];
    SlotState& state = slots_.at(work_[row.work].slot);
    const SamplingParams& params = state.sampling.params();
    SamplerScratch& scratch = scratch_[static_cast<size_t>(thread)];
    std::span<float> values(logits.row(i), static_cast<size_t>(vocab_size_));
    if (!row.samples) {
      logprobs[static_cast<size_t>(i)] = row_logprobs(values, state.tokens[static_cast<size_t>(row.position) + 1],
                                                      params.prompt_logprobs.value_or(0), {}, scratch);
      return;
    }
    if (params.logprobs) scratch.raw.assign(values.begin(), values.end());
    std::span<const uint32_t> grammar;
    for (const GrammarMask& mask : input.masks) {
      if (mask.slot == work_[row.work].slot && mask.position == row.position + 1) grammar = mask.bits;
    }
    state.sampling.adjust_logits(values, state.tokens, state.num_prompt_tokens, grammar);
    int64_t output_position = static_cast<int64_t>(state.tokens.size()) - state.num_prompt_tokens;
    TokenId token = sample_token(values, params, output_position, scratch);
    sampled[static_cast<size_t>(i)] = token;
    if (params.logprobs)
      logprobs[static_cast<size_t>(i)] =
          row_logprobs(scratch.raw, token, *params.logprobs, params.logprob_token_ids, scratch);
  });

  for (size_t i = 0; i < num_rows; ++i) {
    const Row& row = rows_[first_row + i];
    SlotState& state = slots_.at(work_[row.work].slot);
    SlotResult& result = results_[row.work];
    if (!row.samples) {
      result.prompt_logprobs.push_back(std::move(logprobs[i]));
      continue;
    }
    state.tokens.push_back(sampled[i]);
    state.sampling.append(sampled[i]);
    result.token_ids.push_back(sampled[i]);
    if (!logprobs[i].empty()) result.logprobs.push_back(std::move(logprobs[i]));
  }
}

}  // namespace vllm::engine
