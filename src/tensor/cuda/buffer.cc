#include "tensor/cuda/buffer.h"

#include <atomic>
#include <cstring>

#include "base/log.h"
#include "tensor/cuda/error.h"

namespace vllm {
namespace {

// After a fatal device error nothing can be freed. That error was reported where it happened: one line is enough here.
void log_free(cudaError_t code) {
  static std::atomic<bool> told{false};
  if (code == cudaSuccess || code == cudaErrorCudartUnloading || told.exchange(true)) return;
  LOG_WARNING("freeing: {}", cudaGetErrorString(code));
}

}  // namespace

Result<DeviceBuffer> DeviceBuffer::allocate(size_t bytes, const char* what) {
  DeviceBuffer buffer;
  if (bytes == 0) return buffer;
  void* data = nullptr;
  cudaError_t code = cudaMalloc(&data, bytes);
  if (code == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // this error is not sticky: leave no trace of it
    size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    return error(ErrorCode::kResourceExhausted, "Out of memory: {} needs {:.2f} GiB of GPU memory, {:.2f} GiB are free",
                 what, static_cast<double>(bytes) / (1 << 30), static_cast<double>(free) / (1 << 30));
  }
  CUDA_RETURN_IF_ERROR(code);
  buffer.data_ = static_cast<std::byte*>(data), buffer.size_ = bytes;
  return buffer;
}

DeviceBuffer::~DeviceBuffer() {
  if (data_) log_free(cudaFree(data_));
}

Result<PinnedBuffer> PinnedBuffer::allocate(size_t bytes, const char* what) {
  PinnedBuffer buffer;
  if (bytes == 0) return buffer;
  void* data = nullptr;
  cudaError_t code = cudaHostAlloc(&data, bytes, cudaHostAllocMapped | cudaHostAllocPortable);
  if (code == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return error(ErrorCode::kResourceExhausted, "Out of memory: {} needs {:.2f} GiB of page-locked host memory", what,
                 static_cast<double>(bytes) / (1 << 30));
  }
  CUDA_RETURN_IF_ERROR(code);
  std::memset(data, 0, bytes);
  buffer.data_ = static_cast<std::byte*>(data), buffer.size_ = bytes;
  return buffer;
}

PinnedBuffer::~PinnedBuffer() {
  if (data_) log_free(cudaFreeHost(data_));
}

}  // namespace vllm
