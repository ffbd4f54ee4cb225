#pragma once
// One row of logits to one token: penalties and masks, then greedy, or Gumbel-max over what top-k, top-p and min-p
// keep. The order of the stages is vLLM's (v1/sample/sampler.py, 0.33): raw logprobs first; allowed ids, bad words,
// min_tokens, logit bias, penalties; temperature; min-p; top-k; top-p.
#include <cstdint>
#include <span>
#include <vector>

#include "types/types.h"

namespace vllm::engine {

/// What the sampler remembers of one sequence. Penalty state exists only for sequences that use a penalty.
class SamplingState {
 public:
  SamplingState() = default;
  /// `tokens` holds the prompt (the first num_prompt_tokens) and what was generated before a preemption.
  SamplingState(SamplingParams params, std::span<const TokenId> tokens, int64_t num_prompt_tokens, int vocab_size);

  const SamplingParams& params() const { return params_; }
  /// Record a sampled token.
  void append(TokenId token);
  /// Apply everything that changes logits before temperature. `tokens`: the whole history; grammar: one bit a token, or
  /// empty.
  void adjust_logits(std::span<float> logits, std::span<const TokenId> tokens, int64_t num_prompt_tokens,
                     std::span<const uint32_t> grammar) const;

 private:
  bool uses_penalties() const;
  void mask_stop_tokens(std::span<float> logits) const;
  void mask_bad_words(std::span<float> logits, std::span<const TokenId> output) const;
  void apply_penalties(std::span<float> logits) const;

  SamplingParams params_;
  std::vector<int32_t> output_count_;  // [vocab] or empty
  std::vector<bool> in_prompt_;        // [vocab] or empty
  std::vector<TokenId> seen_;          // distinct tokens of prompt and output
};

/// Scratch of one thread; grows to the vocabulary once.
struct SamplerScratch {
  explicit SamplerScratch(int vocab_size) { candidates.reserve(static_cast<size_t>(vocab_size)); }
  struct Candidate {
    float logit;
    TokenId token;
  };
  std::vector<Candidate> candidates;
  std::vector<float> raw;  // a copy of the logits before they were adjusted, for logprobs
};

/// Pick a token from adjusted logits. `position` is the index of the new token in the sequence's output: it keys the
/// random numbers. NaN counts as minus infinity; if nothing is left, the smallest id wins.
TokenId sample_token(std::span<const float> logits, const SamplingParams& params, int64_t position,
                     SamplerScratch& scratch);

/// Natural log-softmax figures of one row of raw logits: the token first, then the `num_top` best (-1 = all) in falling
/// order, then the `extra` ids. Rank counts the tokens at least as likely, as vLLM does.
PositionLogprobs row_logprobs(std::span<const float> logits, TokenId token, int num_top, std::span<const TokenId> extra,
                              SamplerScratch& scratch);

}  // namespace vllm::engine
