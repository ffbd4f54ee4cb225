#pragma once
// Which decode steps share a CUDA graph: the batch is padded to the next of a short list of sizes.
#include <optional>

#include "engine/step.h"

namespace vllm::engine {

/// 1, 2, 4, then multiples of 8 to 256 and of 16 beyond, as vLLM pads.
int padded_batch(int num_seqs);
/// True if every sequence runs one token and no prompt logprobs are wanted: the step may run from a graph. A function
/// of the step alone, so that all ranks agree.
bool is_plain_decode(const StepInput& input);

/// The padded sizes of a step that prefills, with or without decodes: the steps of one size share a graph.
struct MixedBucket {
  int num_tokens = 0;  // the decodes' and the prompts'
  int decodes = 0;     // sequences in front that run one token each
  int prefills = 0;    // the others
  auto operator<=>(const MixedBucket&) const = default;
};
inline constexpr int kMaxMixedTokens = 2048, kMaxMixedPrefills = 32;
/// Tokens go up by 16 to 64, 32 to 128, 64 to 512, 128 to 1,024 and 256 beyond, decodes as padded_batch() has it.
/// Nothing for a step that is too large, or prefills nothing.
std::optional<MixedBucket> mixed_bucket(int num_tokens, int decodes, int prefills);

}  // namespace vllm::engine
