#include "engine/sample/cuda/slot_params.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "engine/sample/cuda/sampler_cuda.h"

namespace vllm::engine {
namespace {

constexpr float kGreedyTemperature = 1e-5f;  // as sample_token

Status left_to_host(const char* what) {
  return error(ErrorCode::kUnimplemented, "the device does not sample {}", what);
}

bool has_repeated_bias(const SamplingParams& params) {
  std::vector<TokenId> ids;
  for (auto [token, bias] : params.logit_bias) ids.push_back(token);
  std::sort(ids.begin(), ids.end());
  return std::adjacent_find(ids.begin(), ids.end()) != ids.end();
}

// Words that the lists take, without walking over more of them than fit.
size_t count_words(const SamplingParams& params) {
  size_t words = params.allowed_token_ids.size() + 2 * params.logit_bias.size();
  if (params.min_tokens > 0) words += params.eos_token_ids.size() + params.stop_token_ids.size();
  if (!params.bad_words.empty()) words += params.bad_words.size() + 1;
  for (const std::vector<TokenId>& word : params.bad_words) {
    if (words > kSlotListWords) break;
    words += word.size();
  }
  return words;
}

}  // namespace

bool uses_penalties(const SamplingParams& params) {
  return params.presence_penalty != 0 || params.frequency_penalty != 0 || params.repetition_penalty != 1;
}

Status pack_slot(const SamplingParams& params, PackedSlot& out) {
  if (params.prompt_logprobs) return left_to_host("logprobs of prompts");
  if (params.logprobs) {
    if (*params.logprobs < 0 || *params.logprobs > kMaxDeviceLogprobs) return left_to_host("that many logprobs");
    if (!params.logprob_token_ids.empty()) return left_to_host("logprobs of named tokens");
  }
  if (count_words(params) > kSlotListWords) return left_to_host("with lists that long");
  if (has_repeated_bias(params)) return left_to_host("with two biases for one token");

  SlotParams& p = out.params = {};
  p.seed = params.seed;
  p.inverse_temperature = params.temperature < kGreedyTemperature ? 0.0f : 1.0f / params.temperature;
  p.log_min_p = params.min_p > 0 ? std::log(params.min_p) : -std::numeric_limits<float>::infinity();
  p.top_p = params.top_p;
  p.top_k = std::max(params.top_k, 0);
  p.repetition_penalty = params.repetition_penalty;
  p.frequency_penalty = params.frequency_penalty;
  p.presence_penalty = params.presence_penalty;
  p.min_tokens = params.min_tokens;
  p.num_logprobs = params.logprobs.value_or(-1);

  int32_t n = 0;
  auto add = [&](int32_t word) { out.lists[n++] = word; };
  for (TokenId token : params.allowed_token_ids) add(token);
  p.num_allowed = n;
  if (params.min_tokens > 0) {
    for (TokenId token : params.eos_token_ids) add(token);
    for (TokenId token : params.stop_token_ids) add(token);
  }
  p.num_stop = n - p.num_allowed;
  p.num_bias = static_cast<int32_t>(params.logit_bias.size());
  for (auto [token, bias] : params.logit_bias) add(token);
  for (auto [token, bias] : params.logit_bias) add(std::bit_cast<int32_t>(bias));
  p.num_bad_words = static_cast<int32_t>(params.bad_words.size());
  if (p.num_bad_words > 0) {
    int32_t offset = 0;
    add(offset);
    for (const std::vector<TokenId>& word : params.bad_words) add(offset += static_cast<int32_t>(word.size()));
    for (const std::vector<TokenId>& word : params.bad_words) {
      for (TokenId token : word) add(token);
    }
  }
  p.num_words = n;
  return {};
}

}  // namespace vllm::engine
