// Steps with no meaning, run before the KV pool exists: they load modules and make libraries allocate what they will.
#include <algorithm>

#include "engine/exec/cuda/cuda_model_runner.h"

namespace vllm::engine {
namespace {

constexpr int64_t kPrefillTokens = 2048;  // as wide as the linear layers ever get
constexpr int kDecodes = 32;              // beyond the kernels for few tokens

// All pages of the sequence are page 1: what is written there is read by nobody who minds.
void add_sequence(StepInput& step, SlotId slot, int64_t num_tokens, const SamplingParams& sampling, int num_groups,
                  int block_size) {
  step.starts.push_back({.slot = slot,
                         .token_ids = std::vector<TokenId>(static_cast<size_t>(num_tokens), 0),
                         .num_prompt_tokens = num_tokens,
                         .num_computed_tokens = 0,
                         .sampling = sampling});
  const auto num_blocks = static_cast<size_t>((num_tokens + block_size - 1) / block_size);
  for (int g = 0; g < num_groups; ++g)
    step.block_deltas.push_back({.slot = slot, .group = g, .first_index = 0, .block_ids = std::vector(num_blocks, 1)});
  step.work.push_back({.slot = slot, .num_tokens = static_cast<int32_t>(num_tokens), .samples = true});
}

}  // namespace

Status CudaModelRunner::warm_up() {
  const EngineConfig& engine = options_.engine;
  ASSIGN_OR_RETURN(DeviceBuffer pages,
                   DeviceBuffer::allocate(2 * static_cast<size_t>(model_->kv_spec().bytes_per_block(engine.block_size)),
                                          "a warm-up"));
  RETURN_IF_ERROR(set_kv(pages.data(), 2));
  SamplingParams greedy, random;
  greedy.temperature = 0;
  random.top_p = 0.9f, random.logprobs = 1;

  std::vector<StepInput> steps(4);
  const int64_t longest = std::min<int64_t>(
      {kPrefillTokens, engine.max_num_batched_tokens, std::max<int64_t>(engine.max_model_len - 1, 1)});
  add_sequence(steps[0], 0, longest, greedy, layout_.num_groups, engine.block_size);
  steps[1].ended = {0};
  add_sequence(steps[1], 0, 1, greedy, layout_.num_groups, engine.block_size);
  const int decodes = std::min(kDecodes, std::min(engine.max_num_seqs, engine.max_num_batched_tokens));
  steps[2].ended = {0};
  for (SlotId slot = 0; slot < decodes; ++slot) {
    add_sequence(steps[2], slot, 1, random, layout_.num_groups, engine.block_size);
    steps[3].ended.push_back(slot);
  }
  for (StepInput& step : steps) {
    RETURN_IF_ERROR(forward(step));
    ASSIGN_OR_RETURN(Ticket * ticket, sample({.step = step.step, .masks = {}}));
    RETURN_IF_ERROR(stream_.synchronize());
    if (StepResult result = collect(*ticket); !result.error.empty())
      return error(ErrorCode::kInternal, "warm-up: {}", result.error);
  }
  wanted_.clear(), mixed_uses_.clear();
  return set_kv(nullptr, 0);
}

}  // namespace vllm::engine
