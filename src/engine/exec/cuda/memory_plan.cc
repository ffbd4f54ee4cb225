#include "engine/exec/cuda/memory_plan.h"

#include <algorithm>

namespace vllm::engine {
namespace {

double gib(double bytes) { return bytes / (int64_t{1} << 30); }

// Pages of one sequence of `length` tokens over all groups.
int64_t pages_of(const MemoryPlanInput& in, int64_t length) {
  auto blocks = [&](int64_t tokens) { return (tokens + in.block_size - 1) / in.block_size; };
  int64_t pages = 0;
  for (int64_t window : in.sliding_windows) {
    pages += window == 0 ? blocks(length) : std::min(blocks(length), blocks(window) + 1);
  }
  return pages;
}

}  // namespace

Result<MemoryPlan> plan_memory(const MemoryPlanInput& in) {
  const auto total = static_cast<double>(in.total_bytes), free = static_cast<double>(in.free_bytes);
  const double room = total * in.utilization - (total - free);
  const double budget = std::max(0.0, in.kv_bytes > 0 ? static_cast<double>(in.kv_bytes) : room);
  MemoryPlan plan{.num_blocks = in.num_blocks, .max_model_len = in.max_model_len};
  if (plan.num_blocks == 0) {
    plan.num_blocks = static_cast<int64_t>(budget / static_cast<double>(in.bytes_per_block));
    // More than every sequence at its longest, or a large prefix cache, can use costs host memory for nothing.
    const int64_t useful = std::max(int64_t{1} << 20, in.max_num_seqs * pages_of(in, in.max_model_len) + 1);
    plan.num_blocks = std::min(plan.num_blocks, useful);
  }
  if (static_cast<double>(plan.num_blocks) * static_cast<double>(in.bytes_per_block) > free) {
    return error(ErrorCode::kResourceExhausted,
                 "Out of memory: a KV cache of {:.2f} GiB was asked for, and {:.2f} GiB of the GPU are free beside the "
                 "weights; lower {}",
                 gib(static_cast<double>(plan.num_blocks) * static_cast<double>(in.bytes_per_block)), gib(free),
                 in.num_blocks > 0 ? "--num-gpu-blocks-override"
                 : in.kv_bytes > 0 ? "--kv-cache-memory-bytes"
                                   : "--gpu-memory-utilization");
  }
  // The longest sequence whose pages fit beside the null block.
  int64_t low = 0, high = in.max_model_len;
  while (low < high) {
    const int64_t middle = low + (high - low + 1) / 2;
    if (pages_of(in, middle) <= plan.num_blocks - 1) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  if (low >= in.max_model_len) return plan;
  if (in.fit_max_model_len && low >= in.block_size) {
    plan.max_model_len = low;
    return plan;
  }
  const double needed = static_cast<double>((pages_of(in, in.max_model_len) + 1) * in.bytes_per_block);
  std::string smaller =
      low >= in.block_size ? fmt::format("set --max-model-len to at most {} (or auto), or ", low) : "";
  return error(
      ErrorCode::kResourceExhausted,
      "Out of memory: one sequence of {} tokens needs {:.2f} GiB of KV cache, and there are {:.2f} GiB beside "
      "weights and activations ({:.2f} of {:.2f} GiB of the GPU are in use); {}raise {}",
      in.max_model_len, gib(needed),
      gib(static_cast<double>(std::max<int64_t>(plan.num_blocks, 0)) * static_cast<double>(in.bytes_per_block)),
      gib(total - free), gib(total), smaller,
      in.num_blocks > 0 ? "--num-gpu-blocks-override"
      : in.kv_bytes > 0 ? "--kv-cache-memory-bytes"
                        : fmt::format("--gpu-memory-utilization (now {:.2f})", in.utilization));
}

BatchLimits default_batch_limits(size_t device_bytes) {
  constexpr size_t kGiB = size_t{1} << 30;
  if (device_bytes >= 160 * kGiB) return {.max_num_seqs = 1024, .max_num_batched_tokens = 16384};
  if (device_bytes >= 70 * kGiB) return {.max_num_seqs = 1024, .max_num_batched_tokens = 8192};
  return {.max_num_seqs = 256, .max_num_batched_tokens = 2048};
}

}  // namespace vllm::engine
