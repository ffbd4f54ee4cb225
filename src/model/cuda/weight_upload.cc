#include "model/cuda/weight_upload.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstring>

#include "kernels/dequantize/dequantize.h"
#include "model/weights/convert.h"
#include "tensor/cuda/error.h"

namespace vllm::model {
namespace {
constexpr size_t kMinSlotBytes = size_t{1} << 20;
constexpr size_t kTileBytes = size_t{256} << 10;  // what a thread fills at a time
}  // namespace

void gather_rows(std::span<const SourceRow> rows, DType dtype, int64_t k, std::byte* out) {
  const size_t out_bytes = row_bytes(dtype, k);
  std::vector<float> floats;
  for (size_t i = 0; i < rows.size();) {
    const SourceRow& row = rows[i];
    if (is_quantized(row.dtype)) {
      floats.resize(static_cast<size_t>(k));
      dequantize_row(row.dtype, row.data, floats);
      convert_row(reinterpret_cast<const std::byte*>(floats.data()), DType::kFloat32, out + i * out_bytes, dtype, k);
      ++i;
    } else if (row.dtype != dtype) {
      convert_row(row.data, row.dtype, out + i * out_bytes, dtype, k);
      ++i;
    } else {
      size_t end = i + 1;
      while (end < rows.size() && rows[end].dtype == dtype && rows[end].data == row.data + (end - i) * out_bytes) ++end;
      std::memcpy(out + i * out_bytes, row.data, (end - i) * out_bytes);
      i = end;
    }
  }
}

Result<WeightUpload> WeightUpload::create(ThreadPool& pool, size_t total_bytes) {
  WeightUpload upload(pool);
  upload.slot_bytes_ = std::clamp(total_bytes / kSlots, kMinSlotBytes, kMaxSlotBytes);
  ASSIGN_OR_RETURN(upload.stream_, CudaStream::create());
  upload.slots_.resize(kSlots);
  return upload;
}

Result<WeightUpload::Slot*> WeightUpload::next_slot() {
  Slot& slot = slots_[next_++ % slots_.size()];
  if (slot.memory.size() > 0) {
    RETURN_IF_ERROR(slot.copied.synchronize());
  } else {
    ASSIGN_OR_RETURN(slot.memory, PinnedBuffer::allocate(slot_bytes_, "loading weights"));
    ASSIGN_OR_RETURN(slot.copied, CudaEvent::create());
  }
  return &slot;
}

Status WeightUpload::send(Slot& slot, std::byte* device, size_t bytes) {
  CUDA_RETURN_IF_ERROR(cudaMemcpyAsync(device, slot.memory.data(), bytes, cudaMemcpyHostToDevice,
                                       static_cast<cudaStream_t>(stream_.get())));
  return slot.copied.record(stream_);
}

Status WeightUpload::rows(std::byte* device, DType dtype, int64_t k, std::span<const SourceRow> rows) {
  const size_t out_bytes = row_bytes(dtype, k);
  if (out_bytes == 0 || out_bytes > slot_bytes_) return invalid_argument("a weight has rows of {} bytes", out_bytes);
  const size_t rows_per_slot = slot_bytes_ / out_bytes, rows_per_tile = std::max<size_t>(1, kTileBytes / out_bytes);
  for (size_t begin = 0; begin < rows.size(); begin += rows_per_slot) {
    auto part = rows.subspan(begin, std::min(rows_per_slot, rows.size() - begin));
    ASSIGN_OR_RETURN(Slot * slot, next_slot());
    pool_->parallel_for(static_cast<int64_t>((part.size() + rows_per_tile - 1) / rows_per_tile),
                        [&](int64_t tile, int) {
                          const size_t first = static_cast<size_t>(tile) * rows_per_tile;
                          gather_rows(part.subspan(first, std::min(rows_per_tile, part.size() - first)), dtype, k,
                                      slot->memory.data() + first * out_bytes);
                        });
    RETURN_IF_ERROR(send(*slot, device + begin * out_bytes, part.size() * out_bytes));
  }
  return {};
}

Status WeightUpload::bytes(std::byte* device, std::span<const std::byte> source) {
  return cuda_status(cudaMemcpyAsync(device, source.data(), source.size(), cudaMemcpyHostToDevice,
                                     static_cast<cudaStream_t>(stream_.get())),
                     "cudaMemcpyAsync");
}

Status WeightUpload::finish() { return stream_.synchronize(); }

}  // namespace vllm::model
