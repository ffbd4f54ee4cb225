#include "engine/exec/cuda/host_rows.h"

#include "base/check.h"

namespace vllm::engine {

void HostRows::start(const SlotStart& start) {
  slots_.insert_or_assign(start.slot, Slot{.tokens = start.token_ids,
                                           .num_prompt = start.num_prompt_tokens,
                                           .sampling = SamplingState(start.sampling, start.token_ids,
                                                                     start.num_prompt_tokens, vocab_size_)});
}

PositionLogprobs HostRows::prompt_logprobs(SlotId slot, int64_t position, std::span<const float> logits) {
  const Slot& s = slots_.at(slot);
  CHECK(position + 1 < static_cast<int64_t>(s.tokens.size()));
  return row_logprobs(logits, s.tokens[static_cast<size_t>(position) + 1],
                      s.sampling.params().prompt_logprobs.value_or(0), {}, scratch_);
}

HostRows::Sampled HostRows::sample(SlotId slot, std::span<float> logits, std::span<const uint32_t> grammar) {
  Slot& s = slots_.at(slot);
  const SamplingParams& params = s.sampling.params();
  if (params.logprobs) scratch_.raw.assign(logits.begin(), logits.end());
  s.sampling.adjust_logits(logits, s.tokens, s.num_prompt, grammar);
  Sampled out;
  out.token = sample_token(logits, params, static_cast<int64_t>(s.tokens.size()) - s.num_prompt, scratch_);
  if (params.logprobs)
    out.logprobs = row_logprobs(scratch_.raw, out.token, *params.logprobs, params.logprob_token_ids, scratch_);
  s.tokens.push_back(out.token);
  s.sampling.append(out.token);
  return out;
}

}  // namespace vllm::engine
