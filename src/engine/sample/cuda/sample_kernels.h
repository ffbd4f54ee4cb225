#pragma once
// The sampler's launches: what CudaSampler gives its kernels.
#include "engine/sample/cuda/sampler_cuda.h"
#include "engine/sample/cuda/slot_params.h"

namespace vllm::engine {

inline constexpr int kRowBlocks = 8;       // thread blocks (one cluster) that share a row in sample_rows
inline constexpr int kMaxVocab = 400'000;  // an eighth of a row lies in a block's shared memory (227 KB)

/// By value to the kernels. Slot arrays are the sampler's, indexed by slot.
struct SampleArgs {
  const float* logits = nullptr;  // [num_rows, vocab], rows `stride` apart; only read
  int64_t stride = 0;
  int32_t vocab = 0;
  int32_t num_slots = 0;
  const int32_t* slots = nullptr;  // [num_rows]
  SampledRow* out = nullptr;       // [num_rows]
  TokenLogprob* top = nullptr;     // [num_rows, kMaxDeviceLogprobs]
  const int32_t* mask_rows = nullptr;
  const uint32_t* masks = nullptr;
  DeviceHistory history;
  const SlotParams* params = nullptr;
  const int32_t* lists = nullptr;      // [num_slots, kSlotListWords]
  int32_t* num_counted = nullptr;      // [num_slots] tokens of the history that are in the penalty table; -1: none yet
  uint32_t* penalty_tables = nullptr;  // [tables, vocab]: 2 * (times sampled) + (in the prompt)
};

/// Prepare the device's kernels; once.
Status init_sample_kernels(int vocab_size);
/// Every row's argmax: what rows that are greedy and unchanged need.
Status launch_greedy(const SampleArgs& args, int num_rows, StreamRef stream);
/// Everything else.
Status launch_sample(const SampleArgs& args, int num_rows, StreamRef stream);
/// Where a slot's record goes.
struct SlotTarget {
  SlotParams* params = nullptr;
  int32_t* lists = nullptr;
  int32_t* num_counted = nullptr;
};
Status launch_write_slot(const PackedSlot& slot, const SlotTarget& target, StreamRef stream);

}  // namespace vllm::engine
