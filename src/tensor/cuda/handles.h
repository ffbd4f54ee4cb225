#pragma once
// Owned streams, events and graphs. Move-only; destructors never throw.
#include <utility>

#include "base/result.h"
#include "tensor/cuda/stream_ref.h"

namespace vllm {

/// Owns a handle of the CUDA runtime that `destroy` gives back.
template <void (*destroy)(void*)>
class CudaHandle {
 public:
  CudaHandle() = default;
  explicit CudaHandle(void* handle) : handle_(handle) {}
  CudaHandle(CudaHandle&& o) noexcept : handle_(std::exchange(o.handle_, nullptr)) {}
  CudaHandle& operator=(CudaHandle&& o) noexcept {
    std::swap(handle_, o.handle_);
    return *this;
  }
  ~CudaHandle() {
    if (handle_) destroy(handle_);
  }
  void* get() const { return handle_; }
  explicit operator bool() const { return handle_ != nullptr; }

 private:
  void* handle_ = nullptr;
};

void destroy_cuda_stream(void* handle);
void destroy_cuda_event(void* handle);
void destroy_cuda_graph(void* handle);

/// A non-blocking stream.
class CudaStream : public CudaHandle<destroy_cuda_stream> {
 public:
  using CudaHandle::CudaHandle;
  static Result<CudaStream> create();
  operator StreamRef() const { return {get()}; }
  Status synchronize() const;
};

/// A point in a stream. `timing` costs a little; without it elapsed_ms is an error.
class CudaEvent : public CudaHandle<destroy_cuda_event> {
 public:
  using CudaHandle::CudaHandle;
  static Result<CudaEvent> create(bool timing = false);
  Status record(StreamRef stream);
  /// True when everything before the last record is done.
  Result<bool> done() const;
  /// Wait on the host.
  Status synchronize() const;
  static Result<float> elapsed_ms(const CudaEvent& begin, const CudaEvent& end);
};

/// An instantiated graph.
class CudaGraph : public CudaHandle<destroy_cuda_graph> {
 public:
  using CudaHandle::CudaHandle;
  /// Record what `launches(stream)` launches, without running it. The first error ends the capture and is returned.
  template <typename Fn>
  static Result<CudaGraph> capture(StreamRef stream, Fn&& launches) {
    RETURN_IF_ERROR(begin_capture(stream));
    Status status = launches(stream);
    return end_capture(stream, std::move(status));
  }
  Status launch(StreamRef stream) const;

 private:
  static Status begin_capture(StreamRef stream);
  static Result<CudaGraph> end_capture(StreamRef stream, Status status);
};

}  // namespace vllm
