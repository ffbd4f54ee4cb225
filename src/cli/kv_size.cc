#include "cli/kv_size.h"

#include <algorithm>

namespace vllm::cli {
namespace {
double gib(int64_t bytes) { return static_cast<double>(bytes) / (int64_t{1} << 30); }
}  // namespace

Result<int64_t> context_length(int64_t model_max_len, int64_t requested, bool allow_longer) {
  if (requested > model_max_len && !allow_longer) {
    return invalid_argument(
        "--max-model-len {} is longer than the {} tokens that the model was made for; lower it, or set "
        "VLLM_ALLOW_LONG_MAX_MODEL_LEN=1",
        requested, model_max_len);
  }
  return requested > 0 ? requested : model_max_len;
}

Result<KvSize> size_kv_cache(const KvSizeInput& in) {
  KvSize size;
  ASSIGN_OR_RETURN(size.max_model_len, context_length(in.model_max_len, in.requested_max_len, in.allow_longer));
  auto blocks_for = [&](int64_t tokens) { return (tokens + in.block_size - 1) / in.block_size; };
  if (in.num_blocks) {
    size.num_blocks = *in.num_blocks + 1;
  } else {
    // Half of what is free: the rest is for activations, requests and the page cache of the weights.
    int64_t budget = in.kv_bytes.value_or(static_cast<int64_t>(in.available_bytes / 2));
    size.num_blocks = budget / in.bytes_per_block;
    if (!in.kv_bytes) size.num_blocks = std::min(size.num_blocks, in.max_num_seqs * blocks_for(size.max_model_len) + 1);
  }
  int64_t fits = (size.num_blocks - 1) * in.block_size;
  if (in.requested_max_len == -1) size.max_model_len = std::min(size.max_model_len, fits);
  if (fits < size.max_model_len || fits < in.block_size) {
    int64_t needed = (blocks_for(size.max_model_len) + 1) * in.bytes_per_block;
    std::string smaller =
        fits >= in.block_size ? fmt::format("set --max-model-len to at most {} (or auto), or ", fits) : "";
    return error(ErrorCode::kResourceExhausted,
                 "Out of memory: one sequence of {} tokens needs {:.2f} GiB of KV cache, and there are {:.2f} GiB; "
                 "{}raise VLLM_CPU_KVCACHE_SPACE to at least {} (GiB)",
                 size.max_model_len, gib(needed), gib(size.num_blocks * in.bytes_per_block), smaller,
                 (needed >> 30) + 1);
  }
  return size;
}

}  // namespace vllm::cli
