#include "engine/sched/stop.h"

#include <algorithm>

namespace vllm::engine {

std::optional<StopDecision> check_stop(const SamplingParams& sampling, TokenId token, int64_t num_outputs,
                                       int64_t max_outputs) {
  const auto in = [token](const std::vector<TokenId>& ids) {
    return std::find(ids.begin(), ids.end(), token) != ids.end();
  };
  if (num_outputs >= sampling.min_tokens) {
    if (!sampling.ignore_eos && in(sampling.eos_token_ids)) return StopDecision{};
    if (in(sampling.stop_token_ids)) return StopDecision{.stop_token = token};
  }
  if (num_outputs >= max_outputs) return StopDecision{.reason = FinishReason::kLength, .stop_token = {}};
  return std::nullopt;
}

}  // namespace vllm::engine
