#include "engine/exec/cuda/graph_buckets.h"

#include <algorithm>

namespace vllm::engine {

int padded_batch(int num_seqs) {
  if (num_seqs <= 2) return std::max(num_seqs, 1);
  if (num_seqs <= 4) return 4;
  const int step = num_seqs <= 256 ? 8 : 16;
  return (num_seqs + step - 1) / step * step;
}

std::optional<MixedBucket> mixed_bucket(int num_tokens, int decodes, int prefills) {
  if (prefills < 1 || prefills > kMaxMixedPrefills || num_tokens > kMaxMixedTokens) return std::nullopt;
  const int step = num_tokens <= 64     ? 16
                   : num_tokens <= 128  ? 32
                   : num_tokens <= 512  ? 64
                   : num_tokens <= 1024 ? 128
                                        : 256;
  return MixedBucket{.num_tokens = (num_tokens + step - 1) / step * step,
                     .decodes = decodes == 0 ? 0 : padded_batch(decodes),
                     .prefills = prefills <= 2   ? 2
                                 : prefills <= 8 ? 8
                                                 : kMaxMixedPrefills};
}

bool is_plain_decode(const StepInput& input) {
  return !input.work.empty() && std::all_of(input.work.begin(), input.work.end(),
                                            [](const SlotWork& w) { return w.num_tokens == 1 && !w.prompt_logprobs; });
}

}  // namespace vllm::engine
