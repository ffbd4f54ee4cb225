#pragma once
// From a request's fields to the engine's SamplingParams: server defaults, ranges, and what depends on the model.
#include "api/requests.h"
#include "types/types.h"

namespace vllm::api {

/// What the checks need to know of the model and the server.
struct ModelLimits {
  int64_t max_model_len = 0;
  int64_t vocab_size = 0;
  int max_logprobs = 20;  // -1 = the vocabulary
  // Defaults of the server where a request names none (--generation-config, --temperature,
  // --override-generation-config).
  std::optional<double> temperature = {}, top_p = {}, min_p = {}, repetition_penalty = {};
  std::optional<int64_t> top_k = {}, max_new_tokens = {};  // max_new_tokens also caps what requests ask for
  std::vector<TokenId> eos_token_ids = {};
};

/// Checks that come before the prompt is tokenized: the output and the truncation must fit the context at all.
MaybeError check_lengths(std::optional<int64_t> max_tokens, std::string_view max_tokens_name,
                         std::optional<int64_t> truncate_prompt_tokens, const ModelLimits& limits);

/// Sampling of one prompt with `num_prompt_tokens`. seed is set only if the request has one (else 0: the caller draws);
/// bad_words stay empty: their tokens need the tokenizer.
ApiResult<SamplingParams> to_sampling(const CompletionRequest& request, int64_t num_prompt_tokens,
                                      const ModelLimits& limits);
ApiResult<SamplingParams> to_sampling(const ChatCompletionRequest& request, int64_t num_prompt_tokens,
                                      const ModelLimits& limits);

/// True if the request names a seed (-1 counts as none).
bool has_seed(const GenerateRequest& request);

}  // namespace vllm::api
