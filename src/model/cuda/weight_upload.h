#pragma once
// Rows of a checkpoint on their way to the device: threads gather and convert them into pinned slots, the copy engine
// empties one slot while the next is filled.
#include <span>
#include <vector>

#include "base/result.h"
#include "tensor/cuda/buffer.h"
#include "tensor/cuda/handles.h"
#include "tensor/dtype.h"
#include "tensor/thread_pool.h"

namespace vllm::model {

/// One row of a weight as the checkpoint has it: plain floats or GGUF blocks, any alignment.
struct SourceRow {
  const std::byte* data = nullptr;
  DType dtype = DType::kFloat32;
};

class WeightUpload {
 public:
  static constexpr size_t kMaxSlotBytes = size_t{32} << 20;  // large enough for the bus's full speed
  static constexpr int kSlots = 4;

  /// For about `total_bytes` in all: small models get small slots, since pinning memory takes time.
  static Result<WeightUpload> create(ThreadPool& pool, size_t total_bytes);
  /// Copy rows of k elements, converted to `dtype`, to [rows, k] at `device`. Sources may go once this returns.
  Status rows(std::byte* device, DType dtype, int64_t k, std::span<const SourceRow> rows);
  /// A few bytes that are as the device wants them, from pageable memory.
  Status bytes(std::byte* device, std::span<const std::byte> source);
  /// Wait until everything has arrived.
  Status finish();

 private:
  struct Slot {
    PinnedBuffer memory;  // allocated when it is first needed
    CudaEvent copied;
  };
  explicit WeightUpload(ThreadPool& pool) : pool_(&pool) {}
  Result<Slot*> next_slot();
  Status send(Slot& slot, std::byte* device, size_t bytes);

  ThreadPool* pool_;
  size_t slot_bytes_ = kMaxSlotBytes;
  CudaStream stream_;
  std::vector<Slot> slots_;
  size_t next_ = 0;
};

/// Rows of k elements to `dtype`, one after the other at `out`; neighbours in the source that need no conversion are
/// one memcpy.
void gather_rows(std::span<const SourceRow> rows, DType dtype, int64_t k, std::byte* out);

}  // namespace vllm::model
