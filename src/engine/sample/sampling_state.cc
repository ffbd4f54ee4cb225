#include <algorithm>
#include <limits>

#include "engine/sample/sampler.h"

namespace vllm::engine {
namespace {
constexpr float kMasked = -std::numeric_limits<float>::infinity();

void mask(std::span<float> logits, TokenId token) {
  if (token >= 0 && static_cast<size_t>(token) < logits.size()) logits[static_cast<size_t>(token)] = kMasked;
}
}  // namespace

SamplingState::SamplingState(SamplingParams params, std::span<const TokenId> tokens, int64_t num_prompt_tokens,
                             int vocab_size)
    : params_(std::move(params)) {
  if (!uses_penalties()) return;
  output_count_.assign(static_cast<size_t>(vocab_size), 0);
  in_prompt_.assign(static_cast<size_t>(vocab_size), false);
  seen_.reserve(tokens.size() + static_cast<size_t>(std::max(params_.max_tokens, 0)));
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (static_cast<int64_t>(i) >= num_prompt_tokens) {
      append(tokens[i]);
    } else if (auto t = static_cast<size_t>(tokens[i]); t < in_prompt_.size() && !in_prompt_[t]) {
      in_prompt_[t] = true;
      seen_.push_back(tokens[i]);
    }
  }
}

bool SamplingState::uses_penalties() const {
  return params_.presence_penalty != 0 || params_.frequency_penalty != 0 || params_.repetition_penalty != 1;
}

void SamplingState::append(TokenId token) {
  auto t = static_cast<size_t>(token);
  if (output_count_.empty() || t >= output_count_.size()) return;
  if (output_count_[t]++ == 0 && !in_prompt_[t]) seen_.push_back(token);
}

void SamplingState::adjust_logits(std::span<float> logits, std::span<const TokenId> tokens, int64_t num_prompt_tokens,
                                  std::span<const uint32_t> grammar) const {
  if (!grammar.empty()) {
    for (size_t i = 0; i < logits.size(); ++i) {
      if (i / 32 >= grammar.size() || !(grammar[i / 32] >> (i % 32) & 1u)) logits[i] = kMasked;
    }
  }
  if (!params_.allowed_token_ids.empty()) {
    std::vector<TokenId> allowed = params_.allowed_token_ids;
    std::sort(allowed.begin(), allowed.end());
    size_t next = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
      while (next < allowed.size() && allowed[next] < static_cast<TokenId>(i)) ++next;
      if (next == allowed.size() || allowed[next] != static_cast<TokenId>(i)) logits[i] = kMasked;
    }
  }
  std::span<const TokenId> output =
      tokens.subspan(static_cast<size_t>(std::min<int64_t>(num_prompt_tokens, static_cast<int64_t>(tokens.size()))));
  mask_bad_words(logits, output);
  if (static_cast<int>(output.size()) < params_.min_tokens) mask_stop_tokens(logits);
  for (auto [token, bias] : params_.logit_bias) {
    if (token >= 0 && static_cast<size_t>(token) < logits.size()) logits[static_cast<size_t>(token)] += bias;
  }
  if (!output_count_.empty()) apply_penalties(logits);
}

void SamplingState::mask_stop_tokens(std::span<float> logits) const {
  for (TokenId token : params_.eos_token_ids) mask(logits, token);
  for (TokenId token : params_.stop_token_ids) mask(logits, token);
}

void SamplingState::mask_bad_words(std::span<float> logits, std::span<const TokenId> output) const {
  for (const std::vector<TokenId>& word : params_.bad_words) {
    if (word.empty() || word.size() - 1 > output.size()) continue;
    std::span<const TokenId> tail = output.last(word.size() - 1);
    if (std::equal(tail.begin(), tail.end(), word.begin())) mask(logits, word.back());
  }
}

// Keskar et al. 2019 (repetition) and OpenAI's presence and frequency penalties.
void SamplingState::apply_penalties(std::span<float> logits) const {
  for (TokenId token : seen_) {
    auto t = static_cast<size_t>(token);
    if (t >= logits.size()) continue;
    float& logit = logits[t];
    logit = logit > 0 ? logit / params_.repetition_penalty : logit * params_.repetition_penalty;
    int32_t count = output_count_[t];
    if (count > 0) logit -= params_.frequency_penalty * static_cast<float>(count) + params_.presence_penalty;
  }
}

}  // namespace vllm::engine
