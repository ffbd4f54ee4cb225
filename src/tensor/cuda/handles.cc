#include "tensor/cuda/handles.h"

#include "tensor/cuda/error.h"

namespace vllm {
namespace {
cudaStream_t as_stream(StreamRef stream) { return static_cast<cudaStream_t>(stream.handle); }
cudaEvent_t as_event(const CudaEvent& event) { return static_cast<cudaEvent_t>(event.get()); }
}  // namespace

// What these return is an earlier, asynchronous error, reported where it happened.
void destroy_cuda_stream(void* handle) { cudaStreamDestroy(static_cast<cudaStream_t>(handle)); }
void destroy_cuda_event(void* handle) { cudaEventDestroy(static_cast<cudaEvent_t>(handle)); }
void destroy_cuda_graph(void* handle) { cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(handle)); }

Result<CudaStream> CudaStream::create() {
  cudaStream_t stream = nullptr;
  CUDA_RETURN_IF_ERROR(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  return CudaStream(stream);
}
Status CudaStream::synchronize() const {
  return cuda_status(cudaStreamSynchronize(static_cast<cudaStream_t>(get())), "cudaStreamSynchronize");
}

Result<CudaEvent> CudaEvent::create(bool timing) {
  cudaEvent_t event = nullptr;
  CUDA_RETURN_IF_ERROR(cudaEventCreateWithFlags(&event, timing ? cudaEventDefault : cudaEventDisableTiming));
  return CudaEvent(event);
}
Status CudaEvent::record(StreamRef stream) {
  return cuda_status(cudaEventRecord(as_event(*this), as_stream(stream)), "cudaEventRecord");
}
Result<bool> CudaEvent::done() const {
  cudaError_t code = cudaEventQuery(as_event(*this));
  if (code == cudaErrorNotReady) return false;
  CUDA_RETURN_IF_ERROR(code);
  return true;
}
Status CudaEvent::synchronize() const {
  return cuda_status(cudaEventSynchronize(as_event(*this)), "cudaEventSynchronize");
}
Result<float> CudaEvent::elapsed_ms(const CudaEvent& begin, const CudaEvent& end) {
  float ms = 0;
  CUDA_RETURN_IF_ERROR(cudaEventElapsedTime(&ms, as_event(begin), as_event(end)));
  return ms;
}

Status CudaGraph::begin_capture(StreamRef stream) {
  return cuda_status(cudaStreamBeginCapture(as_stream(stream), cudaStreamCaptureModeThreadLocal), "begin of a capture");
}

Result<CudaGraph> CudaGraph::end_capture(StreamRef stream, Status status) {
  cudaGraph_t graph = nullptr;
  cudaError_t code = cudaStreamEndCapture(as_stream(stream), &graph);
  if (!status || code != cudaSuccess) {
    if (graph) cudaGraphDestroy(graph);
    cudaGetLastError();
    if (!status) return status.error();
    return cuda_status(code, "end of a capture").error();
  }
  cudaGraphExec_t exec = nullptr;
  code = cudaGraphInstantiate(&exec, graph, 0);
  cudaGraphDestroy(graph);
  CUDA_RETURN_IF_ERROR(code);
  return CudaGraph(exec);
}

Status CudaGraph::launch(StreamRef stream) const {
  return cuda_status(cudaGraphLaunch(static_cast<cudaGraphExec_t>(get()), as_stream(stream)), "cudaGraphLaunch");
}

}  // namespace vllm
