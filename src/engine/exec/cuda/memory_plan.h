#pragma once
// How many KV blocks a GPU gets, and how long sequences may be. Pure, so that every case is a test row.
#include <cstdint>
#include <vector>

#include "base/result.h"

namespace vllm::engine {

struct MemoryPlanInput {
  size_t total_bytes = 0, free_bytes = 0;  // of the device; weights and activations are allocated already
  double utilization = 0.92;               // of total_bytes, everything included
  size_t kv_bytes = 0;                     // --kv-cache-memory-bytes, or 0
  int64_t num_blocks = 0;                  // --num-gpu-blocks-override and the null block, or 0
  int64_t bytes_per_block = 0;
  int block_size = 16;
  std::vector<int64_t> sliding_windows{0};  // per KV group
  int64_t max_model_len = 0;
  bool fit_max_model_len = false;  // lower max_model_len rather than fail
  int max_num_seqs = 1;
};
struct MemoryPlan {
  int64_t num_blocks = 0;  // null block included
  int64_t max_model_len = 0;
};

/// "Out of memory: ..." names the largest --max-model-len that fits, and the flags to change.
Result<MemoryPlan> plan_memory(const MemoryPlanInput& input);

/// What vLLM takes for a device of this size where no flag says otherwise.
struct BatchLimits {
  int max_num_seqs = 0, max_num_batched_tokens = 0;
};
BatchLimits default_batch_limits(size_t device_bytes);

}  // namespace vllm::engine
