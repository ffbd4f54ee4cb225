#pragma once
// The functions of slot_arrays.h as kernels. Launches only: nothing waits or allocates.
#include "base/result.h"
#include "engine/exec/cuda/slot_arrays.h"
#include "tensor/cuda/stream_ref.h"

namespace vllm::engine {

/// Copy the runs; `runs` and `payload` are mapped host memory that stays as it is until the stream has passed.
Status apply_runs(int32_t* words, const CopyRun* runs, int num_runs, const int32_t* payload, StreamRef stream);

/// Write the batch of the step at hand and count its tokens as computed.
Status prepare_batch(int32_t* words, const SlotLayout& layout, const BatchArrays& out, const BatchShape& shape,
                     StreamRef stream);

/// A token that the host sampled.
struct HostToken {
  int32_t slot = 0, token = 0;
};
/// Append to the histories; `tokens` is mapped host memory, one entry a slot.
Status append_tokens(int32_t* words, const SlotLayout& layout, const HostToken* tokens, int count, StreamRef stream);

}  // namespace vllm::engine
