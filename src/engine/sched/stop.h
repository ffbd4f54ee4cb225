#pragma once
// When a sequence ends by itself.
#include <optional>

#include "types/types.h"

namespace vllm::engine {

struct StopDecision {
  FinishReason reason = FinishReason::kStop;
  std::optional<TokenId> stop_token;  // set for a stop_token_ids member, not for EOS
};

/// Judge the newest output token, the num_outputs-th. Order as in vLLM: EOS, then stop ids, then the length limit;
/// the first two count only from min_tokens outputs on.
std::optional<StopDecision> check_stop(const SamplingParams& sampling, TokenId token, int64_t num_outputs,
                                       int64_t max_outputs);

}  // namespace vllm::engine
