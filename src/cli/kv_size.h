#pragma once
// How long sequences may be and how many KV blocks there are, from flags and memory. Pure, so that every case is a test
// row.
#include <cstdint>
#include <optional>

#include "base/result.h"

namespace vllm::cli {

struct KvSizeInput {
  int64_t model_max_len = 0;      // what the checkpoint was made for
  int64_t requested_max_len = 0;  // --max-model-len: 0 = the model's, -1 = auto
  bool allow_longer = false;      // VLLM_ALLOW_LONG_MAX_MODEL_LEN
  int64_t bytes_per_block = 0;
  int block_size = 16;
  int64_t max_num_seqs = 128;
  size_t available_bytes = 0;         // free memory beside the weights
  std::optional<int64_t> kv_bytes;    // --kv-cache-memory-bytes, else VLLM_CPU_KVCACHE_SPACE
  std::optional<int64_t> num_blocks;  // --num-gpu-blocks-override
};

struct KvSize {
  int64_t max_model_len = 0;
  int64_t num_blocks = 0;  // null block included
};

/// The context: `requested` tokens, or the model's for 0 and -1. kInvalidArgument beyond the model's, unless allowed.
Result<int64_t> context_length(int64_t model_max_len, int64_t requested, bool allow_longer);
/// kInvalidArgument for a length beyond the model's, kResourceExhausted ("Out of memory: ...") if not one sequence
/// fits: both name the flag to change and the value.
Result<KvSize> size_kv_cache(const KvSizeInput& input);

}  // namespace vllm::cli
