#pragma once
// What the decoder on GPUs computes, of all that a ModelConfig can ask for.
#include "model/config.h"

namespace vllm::model {

/// kUnimplemented names every feature that only the CPU's decoder has: refused before anything is loaded, since the
/// GPU's would leave it out.
Status check_cuda_support(const ModelConfig& config);

}  // namespace vllm::model
