#include "engine/exec/cuda/graph_buckets.h"

#include <algorithm>

namespace vllm::engine {

int padded_batch(int num_seqs) {
  if (num_seqs <= 2) return std::max(num_seqs, 1);
  if (num_seqs <= 4) return 4;
  const int step = num_seqs <= 256 ? 8 : 16;
  return (num_seqs + step - 1) / step * step;
}

bool is_plain_decode(const StepInput& input) {
  return !input.work.empty() && std::all_of(input.work.begin(), input.work.end(),
                                            [](const SlotWork& w) { return w.num_tokens == 1 && !w.prompt_logprobs; });
}

}  // namespace vllm::engine
