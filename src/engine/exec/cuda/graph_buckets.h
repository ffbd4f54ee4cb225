#pragma once
// Which decode steps share a CUDA graph: the batch is padded to the next of a short list of sizes.
#include "engine/step.h"

namespace vllm::engine {

/// 1, 2, 4, then multiples of 8 to 256 and of 16 beyond, as vLLM pads.
int padded_batch(int num_seqs);
/// True if every sequence runs one token and no prompt logprobs are wanted: the step may run from a graph. A function
/// of the step alone, so that all ranks agree.
bool is_plain_decode(const StepInput& input);

}  // namespace vllm::engine
