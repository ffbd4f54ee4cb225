#pragma once
// The bounds of a sane model, and the checks that both readers (config.json, GGUF) end with.
#include "model/config.h"

namespace vllm::model {

inline constexpr int64_t kMaxVocabSize = 1 << 24, kMaxWidth = 1 << 20, kMaxLayers = 1 << 12, kMaxHeads = 1 << 12,
                         kMaxHeadDim = 1024;
inline constexpr int64_t kMaxPositions = int64_t{1} << 30;

/// Fields that must fit each other: heads divide, head_dim suits the kernels, rope factors have the right length.
Status check_config(const ModelConfig& config);

}  // namespace vllm::model
